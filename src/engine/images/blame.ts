import type { BlamedLayer, BlameKind, BlameOptions, BlameSums, CallOptions, ImageBlame } from '#api-types';
import { readKnownConfig } from '#image';
import { type LayerBlame, walkInThread } from '#image-files';
import type { ImageRecord } from '#metadata';
import type { DiffID, ImageConfig } from '#oci';
import { knownReport } from '../build-reports.ts';
import type { EngineContext } from '../context.ts';
import { treeSource } from './compare.ts';
import { familiarNames } from './list.ts';
import { resolveImage } from './resolve.ts';

const defaultFiles = 10;

/** `GET /wherry/v1/images/{name}/blame`. */
export async function blameImage(
  ctx: EngineContext,
  name: string,
  options: BlameOptions & CallOptions = {},
): Promise<ImageBlame> {
  const image = resolveImage(ctx, name);
  const source = await treeSource(ctx, name, options);
  const job = { kind: 'blame', image: source, maxFiles: options.files ?? defaultFiles } as const;
  const blamed = await Array.fromAsync(walkInThread<LayerBlame>(job, options));
  const origins = layerOrigins(await readKnownConfig(ctx.content, image.id), await writtenLines(ctx, image));
  const layers = blamed.map(({ sizeBytes, ...rest }, at): BlamedLayer => {
    return { diffID: image.diffIDs[at]!, sizeBytes, ...origins[at]!, ...rest };
  });
  return { id: image.id, sizeBytes: image.sizeBytes, sums: addUp(layers.map(({ sums }) => sums)), layers };
}

type Origin = Pick<BlamedLayer, 'line' | 'text' | 'image'>;

/** What made each layer: a line of a Dockerfile where one is known, else what the history says. */
function layerOrigins(config: ImageConfig, lines: ReadonlyMap<DiffID, Origin>): Origin[] {
  const history = (config.history ?? []).filter((entry) => !entry.empty_layer);
  return config.rootfs.diff_ids.map(
    (diffID, at) => lines.get(diffID) ?? { text: history[at]?.created_by ?? history[at]?.comment ?? '' },
  );
}

/** The lines that builds here remember of an image's layers: its own build, and those of the images it stands on. */
async function writtenLines(ctx: EngineContext, image: ImageRecord): Promise<Map<DiffID, Origin>> {
  const lines = new Map<DiffID, Origin>();
  let at: ImageRecord | undefined = image;
  while (at) {
    for (const { layer, line, text } of (await knownReport(ctx, at.id)) ?? []) {
      if (layer === undefined || lines.has(layer as DiffID)) continue;
      const other = at === image ? {} : { image: familiarNames(at).tags[0] ?? at.id };
      lines.set(layer as DiffID, { line, text, ...other });
    }
    at = at.parent ? ctx.metadata.images.get(at.parent) : undefined;
  }
  return lines;
}

function addUp(all: readonly BlameSums[]): BlameSums {
  const kinds: readonly BlameKind[] = [
    ...(['kept', 'overwritten', 'deleted', 'copied', 'duplicate', 'repeated', 'archive'] as const),
  ];
  const entries = kinds.map((kind) => [kind, all.reduce((sum, sums) => sum + sums[kind], 0)]);
  return Object.fromEntries(entries) as Record<BlameKind, number>;
}
