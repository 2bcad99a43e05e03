import type { FileAspect } from './image-comparison.ts';

/**
 * What became of bytes of a layer:
 * - `kept`: they are seen in the image;
 * - `overwritten`: a later layer put another file, or the same with other contents, in their place;
 * - `deleted`: a later layer removed what they are;
 * - `copied`: a copy of a file of a layer below that has the same contents, and other attributes at most (`chown -R`);
 * - `duplicate`: contents that another file of the image has, too;
 * - `repeated`: the layer itself holds the path again, further on;
 * - `archive`: of no file, such as the end of the tar.
 * All but `kept` and `archive` are waste.
 */
export type BlameKind = 'kept' | 'overwritten' | 'deleted' | 'copied' | 'duplicate' | 'repeated' | 'archive';

export type BlameSums = Readonly<Record<BlameKind, number>>;

/** Where the bytes of an image come from. All sizes are of tars: headers and padding of a file are the file's. */
export interface ImageBlame {
  readonly id: string;
  /** As `images` and `inspect` tell it: the sum of the layers. */
  readonly sizeBytes: number;
  /** Their sum is `sizeBytes`. */
  readonly sums: BlameSums;
  /** From the bottom up. */
  readonly layers: readonly BlamedLayer[];
}

export interface BlamedLayer {
  readonly diffID: string;
  readonly sizeBytes: number;
  /** Of the Dockerfile, from 1, where the image was built here and its build is remembered. */
  readonly line?: number;
  /** The line as written, else what the history says. */
  readonly text: string;
  /** The image that was built with that line, where it is not this one but one below. */
  readonly image?: string;
  /** Their sum is `sizeBytes`. */
  readonly sums: BlameSums;
  /** Files of the layer, folders and all. */
  readonly files: number;
  /** The largest, and the largest that are waste. */
  readonly largest: readonly BlamedFile[];
  readonly waste: readonly BlamedFile[];
}

export interface BlamedFile {
  readonly path: string;
  readonly pathBytes?: string;
  /** In the tar, header and padding included. */
  readonly sizeBytes: number;
  readonly kind: BlameKind;
  /** Of `overwritten` and `deleted`: the layer that did so, counted from 0 at the bottom. */
  readonly by?: number;
  /** Of `copied` and `duplicate`: the file that has the same contents. */
  readonly of?: { readonly layer: number; readonly path: string };
  /** Of `copied`: what differs. Empty when nothing does. */
  readonly aspects?: readonly FileAspect[];
}

export interface BlameOptions {
  /** How many files of each layer are named, 10 when left out. */
  readonly files?: number;
}
