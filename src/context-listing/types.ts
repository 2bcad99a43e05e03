import type { ByteString, TarEntryType } from '#archive';

export interface ListingHeader {
  /** Tells one folder on one machine from all others, in whatever words. */
  readonly context: string;
  /** When the walk began, by the clock of the machine that has the files: ms since 1970. */
  readonly takenMs: number;
}

interface Common {
  /** Below the context, without a leading slash. */
  readonly path: ByteString;
  /** Permission bits with set-id and sticky: 07777. */
  readonly mode: number;
  readonly mtimeSec: number;
}

export interface ListedFile extends Common {
  readonly type: 'file';
  readonly sizeBytes: number;
  /**
   * `device inode mtime ctime`, times in ns since 1970: whoever finds it unchanged, and older than the listing, may take the content for unchanged.
   * Absent where a file system does not keep these well enough.
   */
  readonly stamp?: string;
  /** Small files that every build needs. */
  readonly content?: Uint8Array;
  /** `security.capability` */
  readonly capability?: Uint8Array;
}

export type ListedEntry =
  | ListedFile
  | (Common & { readonly type: 'directory' | 'fifo' })
  | (Common & { readonly type: 'symlink'; readonly linkPath: ByteString })
  | (Common & { readonly type: 'hardlink'; readonly linkPath: ByteString })
  | (Common & { readonly type: 'char' | 'block'; readonly devMajor: number; readonly devMinor: number });

export interface Listing extends ListingHeader {
  /** The line of each entry as it came: equal lines are equal files. */
  readonly lines: readonly string[];
}

export const letters = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  hardlink: 'h',
  char: 'c',
  block: 'b',
  fifo: 'p',
} as const satisfies Record<TarEntryType, string>;
