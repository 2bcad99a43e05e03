import type { Digest, DigestAlgorithm } from '#oci';

/** Where every core is busy the API's thread comes first. Linux counts this for the calling thread alone (setpriority(2), differences from POSIX). */
export const bulkNice = 5;

/** A file to be hashed behind its writer. */
export interface Following {
  readonly path: string;
  readonly algorithm: DigestAlgorithm;
  /** Of a {@link Progress} that rings the follower's bell. */
  readonly progress: SharedArrayBuffer;
}

/** The digest once all is written; neither when the file was abandoned. */
export interface Finding {
  readonly digest: Digest | undefined;
  readonly fault: string | undefined;
}

/** Hashes files behind their writers. */
export interface Follower {
  /** Of a {@link Bell}. */
  readonly bell: SharedArrayBuffer;
  follow(following: Following): Promise<Finding>;
}

/** To the thread, and back: several files are in work at once. */
export interface Order {
  readonly id: number;
  readonly following: Following;
}

export interface Answer {
  readonly id: number;
  readonly finding: Finding;
}
