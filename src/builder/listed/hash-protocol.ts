import type { HashedHeader } from '../executor/file-hash.ts';

export interface FileToHash {
  /** Hashed before the content. */
  readonly header: HashedHeader;
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface FilesToHash {
  /** In the order in which they are written. */
  readonly files: readonly FileToHash[];
  /** Of a `Progress`: how far the writer is. */
  readonly progress: SharedArrayBuffer;
}

/** To the thread. */
export type HashRequest = FilesToHash & { readonly path: string };

/** From the thread: digests of the files that follow those told before; at the end what went wrong, if something did. */
export type HashFinding = { readonly digests: readonly string[] } | { readonly fault: string | undefined };
