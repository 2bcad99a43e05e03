import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ByteString } from '#archive';
import { scanTar } from './tar-entries.ts';

/** A file of a layer whose contents lie in its tar in one piece. */
export interface ListedFile {
  readonly path: ByteString;
  readonly sizeBytes: number;
  /** In the tar. */
  readonly dataOffset: number;
  /** SHA-256 of the contents, as a byte string. */
  readonly digest: ByteString;
}

export interface ListedLayer {
  /** Its uncompressed tar. */
  readonly tar: string;
  /** Where its list is, or is to be kept. */
  readonly list: string;
}

/** Eight million files, as many as a layer may have. */
const maxTextBytes = 2 ** 31;

/**
 * The files of a layer with digests of their contents: as kept, else read from the tar and kept. A list that is lost is made again, one that is broken too.
 * Blocking.
 */
export function contentList({ tar, list }: ListedLayer): readonly ListedFile[] {
  const known = readList(list);
  if (known) return known;
  const files = scanTar(tar)
    .entries.filter(({ digest, entry }) => digest !== '' && entry.sparse === undefined)
    .map(({ path, digest, entry }) => ({ path, sizeBytes: entry.storedBytes, dataOffset: entry.dataOffset, digest }));
  writeList(list, files);
  return files;
}

type Row = readonly [path: ByteString, sizeBytes: number, dataOffset: number, digest: string];

function readList(path: string): readonly ListedFile[] | undefined {
  try {
    const text = zstdDecompressSync(readFileSync(path), { maxOutputLength: maxTextBytes }).toString();
    const { version, files } = JSON.parse(text) as { version: number; files: readonly Row[] };
    if (version !== 1) return undefined;
    return files.map(([name, sizeBytes, dataOffset, digest]) => {
      return { path: name, sizeBytes, dataOffset, digest: Buffer.from(digest, 'base64').toString('latin1') };
    });
  } catch {
    // Not there, or not whole: the tar says the same.
    return undefined;
  }
}

function writeList(path: string, files: readonly ListedFile[]): void {
  const rows = files.map((file): Row => {
    return [file.path, file.sizeBytes, file.dataOffset, Buffer.from(file.digest, 'latin1').toString('base64')];
  });
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${performance.now()}.tmp`;
  writeFileSync(temporary, zstdCompressSync(JSON.stringify({ version: 1, files: rows })), { mode: 0o600 });
  renameSync(temporary, path);
}
