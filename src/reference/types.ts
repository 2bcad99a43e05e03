import type { Digest } from '#oci';

/** A normalised reference. Immutable. */
export interface Reference {
  /** Registry host, `docker.io` for Docker Hub (also when written `index.docker.io`). */
  readonly domain: string;
  /** Repository path, `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}
