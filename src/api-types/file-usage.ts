/** Files that the store has several times, across layers and images. */
export interface FileUsage {
  /** Layers of images that were looked at; their files with contents, and those files' bytes. */
  readonly layers: number;
  readonly files: number;
  readonly sizeBytes: number;
  /** One copy of each contents. */
  readonly uniqueBytes: number;
  /** All other copies: `sizeBytes` is the sum of the two. */
  readonly duplicateBytes: number;
  /** Of these, whole blocks of the disk that lie alike in their layers' tars: what a file system could share. */
  readonly sharableBytes: number;
  /** What it was made to share by `--dedup=files`; null where that is off. */
  readonly sharedBytes: number | null;
  /** The contents that take most by being there several times. */
  readonly groups: readonly DuplicateFiles[];
}

export interface DuplicateFiles {
  /** Of the contents, as `sha256:…`. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly copies: number;
  /** What all copies but one take. */
  readonly wastedBytes: number;
  /** Where they are; the first few. */
  readonly files: readonly DuplicateFile[];
}

export interface DuplicateFile {
  readonly path: string;
  readonly pathBytes?: string;
  /** The diffID of its layer. */
  readonly layer: string;
  /** Images that have the layer, by name, or ID where they have none; the first few. */
  readonly images: readonly string[];
}

export interface FileUsageOptions {
  /** How many contents are named, 20 when left out. */
  readonly groups?: number;
}
