import type { Provider } from '#content';
import { EngineError, isKind } from '#errdefs';
import {
  type Descriptor,
  type Digest,
  type ImageConfig,
  maxManifestBytes,
  parseConfig,
  parseTarget,
  type Target,
} from '#oci';
import { readAll } from '#streams';
import { recentConfig, rememberConfig } from './recent-configs.ts';

/** No image config comes near this; what a registry or an archive brings must not fill the memory. */
export const maxConfigBytes = 8 << 20;

/** @throws `not-found` when the content store lacks it, `invalid-argument` when it is neither a manifest nor an index. */
export async function readTarget(content: Pick<Provider, 'open'>, descriptor: Descriptor): Promise<Target> {
  const bytes = await readDocument(content, descriptor.digest, maxManifestBytes, 'manifest');
  return parseTarget(bytes, descriptor.mediaType || undefined);
}

/** @throws `not-found`, `invalid-argument`. */
export async function readConfig(content: Pick<Provider, 'open'>, digest: Digest): Promise<ImageConfig> {
  return parseConfig(await readDocument(content, digest, maxConfigBytes, 'image config'));
}

/** The config of an image that the caller knows to be here: what was read lately is answered from memory. @throws as {@link readConfig}. */
export async function readKnownConfig(content: Pick<Provider, 'open'>, imageID: Digest): Promise<ImageConfig> {
  const known = recentConfig(content, imageID);
  if (known) return known;
  const bytes = await readDocument(content, imageID, maxConfigBytes, 'image config');
  const config = parseConfig(bytes);
  rememberConfig(content, imageID, config, bytes.length);
  return config;
}

/** A small document's raw bytes: the truth about it. */
export async function readDocument(
  content: Pick<Provider, 'open'>,
  digest: Digest,
  limitBytes: number,
  what: string,
): Promise<Buffer> {
  try {
    return await readAll(content.open(digest), limitBytes, `${what} ${digest}`);
  } catch (error) {
    if (isKind(error, 'out-of-range'))
      throw new EngineError('invalid-argument', `read ${what} ${digest}: larger than ${limitBytes} bytes`, {
        cause: error,
      });
    throw error;
  }
}
