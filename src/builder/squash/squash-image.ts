import type { BuildSession, StepState } from '../executor/index.ts';
import { chainOf } from '../executor/index.ts';
import { squashedTar } from './squashed-tar.ts';

/**
 * `--squash`: all layers of `end` above those of `base` (of all, where there is none) become one, in an image of its own that remembers every step.
 * What adds no layer is left as it is.
 */
export async function squashImage(
  session: BuildSession,
  { base, end }: { readonly base: StepState | undefined; readonly end: StepState },
  { signal }: { readonly signal: AbortSignal },
): Promise<StepState> {
  const kept = base?.imageID === undefined ? [] : base.layers;
  if (end.imageID === undefined || end.layers.length === kept.length) return end;
  const work = { signal, report: () => {} };
  await session.recorder.hold(end);
  const layer = await session.ingest(
    squashedTar({
      content: session.host.content,
      layers: chainOf(end).slice(kept.length),
      below: await session.views.tree(chainOf(end).slice(0, kept.length), work),
      signal,
    }),
    work,
  );
  const comment = base?.imageID ? `merge ${end.imageID} to ${base.imageID}` : `create new from ${end.imageID}`;
  return session.recorder.squashed(base, end, { layer, comment, moment: session.momentOf([end]) });
}
