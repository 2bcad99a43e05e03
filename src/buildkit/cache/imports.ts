import { namedVertex } from '#builder';
import { EngineError, isKind, messageOf } from '#errdefs';
import { parseReference } from '#reference';
import type { RunningBuild } from '../control/running-build.ts';
import type { BuildKitHost, BuildWish } from '../types.ts';

/**
 * Images that a client wants steps taken from, as `cache-imports` names them: `[{"Type":"registry","Attrs":{"ref":"…"}}]`.
 * @throws `not-implemented` for a cache that is no image, `invalid-argument` for what cannot be read
 */
export function parseCacheImports(json: string): readonly string[] {
  return entriesOf(json).map((entry) => {
    const { Type: type, Attrs: attributes } = (entry ?? {}) as { Type?: unknown; Attrs?: Record<string, unknown> };
    if (type !== 'registry') throw new EngineError('not-implemented', `cache import of type ${type} is not supported`);
    const reference = attributes?.['ref'];
    if (typeof reference === 'string' && reference !== '') return reference;
    throw new EngineError('invalid-argument', 'registry cache importer requires ref');
  });
}

function entriesOf(json: string): readonly unknown[] {
  try {
    const entries: unknown = JSON.parse(json);
    if (Array.isArray(entries)) return entries;
    throw new EngineError('invalid-argument', 'not a list');
  } catch (cause) {
    throw new EngineError('invalid-argument', `failed to unmarshal cache imports: ${messageOf(cause)}`, { cause });
  }
}

/** Brings in those that are not here; answers the ones that can be used. One that cannot be had is told of, and the build goes on without. */
export async function importCaches(
  { status }: RunningBuild,
  host: BuildKitHost,
  { credentials, options, signal }: BuildWish,
  references: readonly string[],
): Promise<readonly string[]> {
  const here: string[] = [];
  for (const reference of references) {
    const vertex = namedVertex(`importing cache manifest from ${reference}`);
    try {
      await status.during(vertex, async () => {
        const auth = await credentials(parseReference(reference).domain, { signal });
        const onProgress = status.progressOf(vertex.digest);
        const platform = options.platform === undefined ? {} : { platform: options.platform };
        await host.cacheImage(reference, { ...platform, ...(auth ? { auth } : {}), onProgress, signal });
      });
      here.push(reference);
    } catch (error) {
      if (signal.aborted || isKind(error, 'canceled')) throw error;
    }
  }
  return here;
}
