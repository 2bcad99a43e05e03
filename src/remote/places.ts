import type { Descriptor } from '#oci';
import type { Reference } from '#reference';
import type { ByteSource } from '#streams';

/** Where an image is copied from. */
export interface CopySource extends AsyncDisposable {
  /** The image, or the index over several. */
  readonly top: Descriptor;
  /** A manifest or index, held whole; its digest was checked. */
  document(descriptor: Descriptor): Promise<Buffer>;
  /** Bytes of a blob, from the start each time; the caller verifies. */
  blob(descriptor: Descriptor): ByteSource;
  /** Present for registries: a sink on the same host mounts from there. */
  readonly repository?: Reference;
}

export type BlobCopy = 'exists' | 'mounted' | 'copied';

/** Where an image is copied to. Blobs come first, then documents, children before parents, then `finish`. */
export interface CopySink extends AsyncDisposable {
  /** Blobs that may be put at once. */
  readonly parallel: number;
  /** True when the document and everything below it are there already. */
  hasImage(descriptor: Descriptor): Promise<boolean>;
  /** `open` may be called again for a retry; it fails when the bytes are not what the descriptor says. */
  putBlob(
    descriptor: Descriptor,
    open: () => ByteSource,
    options: { mountFrom?: Reference | undefined; onProgress: (sentBytes: number) => void },
  ): Promise<BlobCopy>;
  putDocument(descriptor: Descriptor, bytes: Buffer): Promise<void>;
  /** Gives the copy its name. Nothing is visible under that name before. */
  finish(top: Descriptor, bytes: Buffer): Promise<void>;
}

/** What a user names: `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`, else an image of a registry. */
export type Place =
  | { readonly kind: 'registry'; readonly name: string }
  | {
      readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
      readonly path: string;
      readonly name: string | undefined;
    };

export function parsePlace(text: string): Place {
  const match = /^(oci|oci-archive|docker-archive):([^:]+)(?::(.+))?$/.exec(text);
  if (!match) return { kind: 'registry', name: text.replace(/^docker:\/\//, '') };
  return { kind: match[1] as 'oci' | 'oci-archive' | 'docker-archive', path: match[2]!, name: match[3] };
}
