import { EngineError } from '#errdefs';
import { formatPlatform, isConfig, maxConfigBytes, type Platform, parseConfig, parseTarget, platformRank } from '#oci';
import { readAll } from '#streams';
import type { CopySource } from './places.ts';
import { verified } from './verified.ts';

/**
 * An image that is no index is for one platform. What has none, an artifact, is for all.
 * @throws `not-found` when it is for none of those that are wanted.
 */
export async function requirePlatform(source: CopySource, wanted: readonly Platform[]): Promise<void> {
  const bytes = await source.document(source.top);
  const target = parseTarget(bytes, source.top.mediaType || undefined);
  if (target.kind === 'index' || !isConfig(target.manifest.config.mediaType)) return;
  const descriptor = target.manifest.config;
  const bytesOfConfig = await readAll(verified(source.blob(descriptor), descriptor), maxConfigBytes, 'config');
  const config = parseConfig(bytesOfConfig);
  if (wanted.some((platform) => platformRank(config, platform) !== undefined)) return;
  const names = wanted.map(formatPlatform).join(', ');
  throw new EngineError('not-found', `the image is for ${formatPlatform(config)}, not for ${names}`);
}
