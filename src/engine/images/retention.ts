import { log } from '#log';
import { fullName, parseReference } from '#reference';
import type { EngineContext } from '../context.ts';
import type { EngineOptions } from '../options.ts';
import { collectGarbage } from './collect.ts';

/** Whether compressed forms of layers stay that came from or went to a repository (`host/path`), or, without one, in an archive. */
export function retains({ retain = [] }: Pick<EngineOptions, 'retain'>): (repository: string | undefined) => boolean {
  if (retain === 'both') return () => true;
  return (repository) =>
    repository !== undefined && retain.some((prefix) => repository === prefix || repository.startsWith(`${prefix}/`));
}

/** Lets go of what an engine with other options has kept, once, when an engine opens. */
export async function releaseUnretained(ctx: EngineContext): Promise<void> {
  if (ctx.options.retain === 'both') return;
  const isWanted = retains(ctx.options);
  const { images } = ctx.metadata;
  const kept = Map.groupBy(images.retained(), ({ imageID }) => imageID);
  let released = 0;
  for (const [id, blobs] of kept) {
    const image = images.get(id);
    const names = image ? [...image.names, ...image.repoDigests] : [];
    if (names.some((name) => isWanted(fullName(parseReference(name))))) continue;
    await images.releaseBlobs(
      id,
      blobs.map(({ digest }) => digest),
    );
    released += blobs.length;
  }
  if (released === 0) return;
  const freedBytes = await collectGarbage(ctx);
  log.info('compressed layers are kept no longer', { released, freedBytes });
}
