import type { Descriptor, DiffID, Digest, ImageConfig, Index, Manifest, Platform } from '#oci';

/** A platform's image, read from a target. Raw bytes stay in the content store; these are parsed copies. */
export interface ImageView {
  readonly target: Descriptor;
  /** Present when the target is an index. */
  readonly index?: Index;
  readonly manifestDescriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly diffIDs: readonly DiffID[];
  readonly platform: Platform;
}

/** A layer that the content store holds uncompressed. */
export interface StoredLayer {
  readonly diffID: DiffID;
  readonly sizeBytes: number;
}

/** What `metadata.images.put` takes: an image whose documents and layers are in the content store. */
export interface ImageDescription {
  readonly id: Digest;
  readonly target: Descriptor;
  readonly manifest: Descriptor;
  readonly platform: Platform;
  readonly diffIDs: readonly DiffID[];
  readonly sizeBytes: number;
  readonly createdMs: number;
  /** `createdMs` is when it was made here, which its config does not tell. */
  readonly isMadeHere?: boolean;
  readonly parent?: Digest;
  readonly labels: Readonly<Record<string, string>>;
  readonly references: readonly Digest[];
}
