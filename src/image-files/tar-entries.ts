import { createHash } from 'node:crypto';
import { type ByteString, padding, type TarEntry, TarParser } from '#archive';
import { StoredBlob } from '#content';

/** An entry of a layer's tar, with the bytes it takes there. */
export interface LayerEntry {
  readonly entry: Pick<
    TarEntry,
    'type' | 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs' | 'dataOffset' | 'storedBytes' | 'sparse'
  >;
  /** Clean, relative; '' is the root. */
  readonly path: ByteString;
  /** Headers, data and padding. */
  readonly spanBytes: number;
  /** Of the contents; empty where there are none. */
  readonly digest: string;
}

export interface ScannedTar {
  readonly entries: readonly LayerEntry[];
  readonly sizeBytes: number;
}

const chunkBytes = 1 << 20;

/** Reads a tar front to back and hashes what its files hold. Blocking. @throws `invalid-argument` for what is no tar. */
export function scanTar(tarPath: string): ScannedTar {
  const scan = new Scan();
  const parser = new TarParser({
    entry: (entry) => scan.begin(entry),
    data: (bytes) => scan.data(bytes),
  });
  using tar = StoredBlob.open(tarPath);
  const chunk = Buffer.allocUnsafeSlow(chunkBytes);
  for (;;) {
    const length = tar.read(chunk, scan.sizeBytes);
    if (length === 0) break;
    scan.sizeBytes += length;
    parser.write(chunk.subarray(0, length));
  }
  parser.end();
  return { entries: scan.finish(), sizeBytes: scan.sizeBytes };
}

class Scan {
  sizeBytes = 0;
  readonly #found: { entry: TarEntry; digest: string }[] = [];
  #open: TarEntry | undefined;
  #hash = createHash('sha256');

  begin(entry: TarEntry): void {
    this.#close();
    this.#open = entry;
    this.#hash = createHash('sha256');
    // What is a hole in one file may be zeros in another; as stored, the two are not one.
    if (entry.sparse) this.#hash.update(JSON.stringify([entry.sizeBytes, entry.sparse]));
  }

  data(bytes: Buffer): void {
    this.#hash.update(bytes);
  }

  #close(): void {
    const entry = this.#open;
    if (!entry) return;
    const digest = entry.type === 'file' && entry.storedBytes > 0 ? this.#hash.digest('latin1') : '';
    this.#found.push({ entry, digest });
    this.#open = undefined;
  }

  /** A tar may end in the middle of its last padding. */
  finish(): LayerEntry[] {
    this.#close();
    return this.#found.map(({ entry, digest }) => {
      const end = Math.min(this.sizeBytes, entry.dataOffset + entry.storedBytes + padding(entry.storedBytes));
      return { entry, digest, path: cleanPath(entry.path), spanBytes: end - entry.headerOffset };
    });
  }
}

/** As a layer's index has it: what leads out of the root was refused when the layer came. */
function cleanPath(path: ByteString): ByteString {
  const parts: ByteString[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
