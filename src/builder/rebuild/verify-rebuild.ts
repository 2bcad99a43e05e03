import type { RebuildReport, RebuiltLayer } from '#api-types';
import type { DiffID, Digest, ImageConfig } from '#oci';
import { buildImage } from '../build.ts';
import type { BuilderHost, BuildRequest, BuiltImage } from '../types.ts';
import { compareConfigs } from './compare-configs.ts';
import { compareLayers } from './compare-layers.ts';

export interface VerifiedImage {
  readonly id: Digest;
  readonly config: ImageConfig;
}

/**
 * Builds an image again without the cache, and tells what differs. Nothing of the build is kept.
 * @throws as {@link buildImage} does
 */
export async function verifyRebuild(
  host: BuilderHost,
  request: BuildRequest,
  image: VerifiedImage,
): Promise<RebuildReport> {
  let report: RebuildReport | undefined;
  const inspect = async (built: BuiltImage) => {
    report = await compare(host, image, built, request.signal);
  };
  await buildImage(host, { ...request, noCache: true, cacheFrom: [], tags: [], keepSteps: 'none', inspect });
  return report!;
}

async function compare(
  host: BuilderHost,
  image: VerifiedImage,
  built: BuiltImage,
  signal: AbortSignal,
): Promise<RebuildReport> {
  const config = compareConfigs(image.config, built.config);
  const [before, after] = [image.config.rootfs.diff_ids, built.config.rootfs.diff_ids];
  const layers: RebuiltLayer[] = [];
  for (let index = 0; index < Math.max(before.length, after.length); index++) {
    const pair = { image: before[index], rebuilt: after[index] };
    if (pair.image !== pair.rebuilt) layers.push(await layerReport(host, built, { ...pair, index, signal }));
  }
  return { identical: image.id === built.id, image: image.id, rebuilt: built.id, config, layers };
}

async function layerReport(
  host: BuilderHost,
  { baseLayers, steps }: BuiltImage,
  layer: { image: DiffID | undefined; rebuilt: DiffID | undefined; index: number; signal: AbortSignal },
): Promise<RebuiltLayer> {
  const { image, rebuilt, index, signal } = layer;
  const step = steps.get(index);
  const named = { index, image: image ?? null, rebuilt: rebuilt ?? null };
  if (index < baseLayers) {
    return { ...named, hint: 'the base image is another one than it was built on', files: [], moreFiles: 0 };
  }
  const place = step ? { line: step.line, text: step.text } : {};
  if (!image || !rebuilt) {
    const hint = image ? 'the build makes fewer layers' : 'the build makes more layers';
    return {
      ...named,
      ...place,
      hint: `${hint}: another Dockerfile, or a command that changed nothing`,
      files: [],
      moreFiles: 0,
    };
  }
  const files = await compareLayers({ content: host.content, image, rebuilt, text: step?.text ?? '', signal });
  return { ...named, ...place, ...files };
}
