import type { Provider } from '#content';
import type { Digest, ImageConfig } from '#oci';

/** So many images are asked about again and again; a config of this size is rare already. */
const maxConfigs = 64;
const maxBytes = 64 << 10;

/** Configs read lately, by store: under load a trip through the thread pool costs more than the rest of an answer. A digest's bytes never change. */
const recent = new WeakMap<Pick<Provider, 'open'>, Map<Digest, ImageConfig>>();

export function recentConfig(content: Pick<Provider, 'open'>, digest: Digest): ImageConfig | undefined {
  const configs = recent.get(content);
  const config = configs?.get(digest);
  // Used last, dropped last.
  if (config && configs?.delete(digest)) configs.set(digest, config);
  return config;
}

export function rememberConfig(
  content: Pick<Provider, 'open'>,
  digest: Digest,
  config: ImageConfig,
  sizeBytes: number,
): void {
  if (sizeBytes > maxBytes) return;
  const configs = recent.get(content) ?? new Map<Digest, ImageConfig>();
  recent.set(content, configs);
  configs.set(digest, config);
  for (const oldest of configs.keys()) {
    if (configs.size <= maxConfigs) break;
    configs.delete(oldest);
  }
}
