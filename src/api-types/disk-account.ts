/** What takes space: each byte of the data root belongs to one of them. */
export const diskPartKinds = [
  'images',
  'containers',
  'logs',
  'volumes',
  'build-cache',
  'trash',
  'in-progress',
  'engine',
] as const;
export type DiskPartKind = (typeof diskPartKinds)[number];

export interface DiskItem {
  readonly ID: string;
  readonly Name: string;
  /** Bytes on the disk that are its alone. */
  readonly Size: number;
  /** Of these, what a prune of its kind would free, or keep for an undo. */
  readonly Reclaimable: number;
}

export interface DiskPart {
  readonly Kind: DiskPartKind;
  readonly Total: number;
  readonly Active: number;
  readonly Size: number;
  readonly Reclaimable: number;
  readonly Items: readonly DiskItem[];
}

/** `GET /wherry/v1/disk`: the data root as `du` counts it, every byte attributed. */
export interface DiskAccount {
  readonly Path: string;
  /** The sum of the parts. */
  readonly Size: number;
  /** Of the file system. */
  readonly Capacity: number;
  readonly Free: number;
  readonly Parts: readonly DiskPart[];
}
