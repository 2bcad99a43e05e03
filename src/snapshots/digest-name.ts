import type { Digest } from '#oci';

/** A digest as a file name: `sha256-<hex>`. A colon would be special to overlayfs's options on older kernels. */
export function digestName(digest: Digest): string {
  return digest.replace(':', '-');
}
