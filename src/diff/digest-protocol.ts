import type { Digest, DigestAlgorithm } from '#oci';

/** Where every core is busy the API's thread comes first. Linux counts this for the calling thread alone (setpriority(2), differences from POSIX). */
export const bulkNice = 5;

/** Read and hashed at once. */
export const pieceBytes = 1 << 20;

/** A file to be hashed behind its writer. */
export interface Following {
  readonly path: string;
  readonly algorithm: DigestAlgorithm;
  /** Of a {@link Progress}. */
  readonly progress: SharedArrayBuffer;
}

/** The digest; neither when the file was abandoned. */
export interface Finding {
  readonly digest: Digest | undefined;
  readonly fault: string | undefined;
}
