import type { Compression } from '#diff';
import { EngineError } from '#errdefs';
import { parseReference } from '#reference';
import { ExportAttributes } from '../export/attributes.ts';
import { exportVertex } from '../export/export-vertex.ts';
import type { ExportParts } from '../export/types.ts';
import type { SolveRequest } from '../proto/control_pb.ts';

/** Where the image goes that is to be a cache for others. */
export interface CacheExport {
  readonly reference: string;
  readonly compression: Compression | undefined;
  /** A build does not fail for it. */
  readonly mayFail: boolean;
}

/**
 * What clients want kept of a build for others, checked before it is built. `inline` needs nothing: every image is a cache here, by its history and layers.
 * In a registry the cache is that image, so what `mode=max` keeps beyond it is refused.
 * @throws `not-implemented`, `invalid-argument`
 */
export function plannedCacheExports({ cache }: SolveRequest): readonly CacheExport[] {
  return (cache?.exports ?? []).flatMap(({ type, attributes }) => {
    if (type === 'inline') return [];
    if (type === 'registry') return [registryExport(attributes)];
    throw new EngineError('not-implemented', `cache export of type ${type} is not supported`);
  });
}

function registryExport(attributes: Readonly<Record<string, string>>): CacheExport {
  const read = new ExportAttributes('registry cache', attributes);
  const reference = read.text('ref');
  if (!reference) throw new EngineError('invalid-argument', 'registry cache exporter requires ref');
  parseReference(reference);
  const mode = read.text('mode') || 'min';
  if (mode !== 'min') throw new EngineError('not-implemented', `cache export with mode=${mode} is not supported`);
  const compression = read.compression();
  if (compression === 'none') {
    throw new EngineError('not-implemented', 'registry cache: layers are pushed as gzip or zstd, not uncompressed');
  }
  if (read.forcesCompression()) {
    throw new EngineError('not-implemented', 'registry cache: force-compression is not supported');
  }
  const mayFail = read.flag('ignore-error') ?? false;
  read.end();
  return { reference, compression, mayFail };
}

export async function exportCaches(
  wishes: readonly CacheExport[],
  { build, host, images, isIndex }: ExportParts,
): Promise<void> {
  const { status, signal } = build;
  const [image] = images;
  if (!image) return;
  for (const [number, { reference, compression, mayFail }] of wishes.entries()) {
    const vertex = exportVertex(build, number, 'exporting cache to registry');
    try {
      await status.during(vertex, async () => {
        if (isIndex) throw new EngineError('not-implemented', 'a cache of several platforms is not supported');
        const auth = await build.credentials(parseReference(reference).domain, { signal });
        const onProgress = status.progressOf(vertex.digest);
        const how = { onProgress, signal, ...(auth ? { auth } : {}), ...(compression ? { compression } : {}) };
        await status.duringPart(vertex.digest, `pushing ${reference}`, () => host.pushCache(image.id, reference, how));
      });
    } catch (error) {
      if (!mayFail || signal.aborted) throw error;
    }
  }
}
