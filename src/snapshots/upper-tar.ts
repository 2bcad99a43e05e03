import { type Dirent, readdirSync } from 'node:fs';
import { type ByteString, byteString, bytesFromUtf8, bytesOf, type TimeClamp } from '#archive';
import { inSlices, RingReader, RingWriter } from '#concurrency';
import { isErrno } from '#errdefs';
import type { AbortFlag } from './abort-flag.ts';
import { packUpper, type TarSink } from './diff-tar.ts';
import { mergedRoot } from './merged.ts';
import type { Attributes } from './tree.ts';
import type { DiffOptions } from './types.ts';
import { marksOf, type Upper } from './upper.ts';
import { UpperFiles } from './upper-files.ts';
import type { SnapshotWorkers } from './workers.ts';

/** Chunks handed out; small files are gathered into one. */
const chunkBytes = 1 << 20;
/** A layer of so many names is packed sooner than a thread is told of it. */
const maxNamesHere = 100;

/** A writable layer and what it stands on: folders, top first, and how they show their root. */
export interface UpperToPack {
  readonly upper: Upper;
  readonly below: readonly string[];
  readonly root: Attributes;
}

/** The tar of a writable layer; that of a large one is made in a thread. */
export async function* upperTar(
  workers: SnapshotWorkers,
  layer: UpperToPack,
  options: DiffOptions,
): AsyncGenerator<Uint8Array> {
  if (hasFewNames(layer.upper)) yield* packHere(layer, options);
  else yield* packBeside(workers, layer, options);
}

/** Each folder is read once more for it, until there are too many names. */
function hasFewNames({ root }: Upper): boolean {
  let left = maxNamesHere;
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of entriesOf(folder)) {
      if (--left < 0) return false;
      if (entry.isDirectory()) folders.push(`${folder}/${byteString(entry.name)}`);
    }
  }
  return true;
}

/** None when it vanished. */
function entriesOf(folder: ByteString): Dirent<Buffer>[] {
  try {
    return readdirSync(bytesOf(folder), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

async function* packHere(
  { upper, below, root }: UpperToPack,
  { clamp, ...options }: DiffOptions,
): AsyncGenerator<Uint8Array> {
  using files = new UpperFiles(upper.root);
  const gathered = new Gathered();
  const base = { below: mergedRoot(below.map(bytesFromUtf8), marksOf(upper)), root };
  for await (const large of inSlices(packUpper(upper, base, { files, sink: gathered, clamp }), options)) {
    if (large === undefined && gathered.sizeBytes < chunkBytes) continue;
    yield gathered.take();
    if (large !== undefined) yield* files.readChunks(large.path, large.sizeBytes, options.signal);
  }
  yield gathered.take();
}

async function* packBeside(
  workers: SnapshotWorkers,
  layer: UpperToPack,
  { signal, clamp, lend }: DiffOptions,
): AsyncGenerator<Uint8Array> {
  const ring = new RingReader();
  const packed = workers
    .run({ kind: 'pack-upper', ...layer, clamp, ring: ring.memory }, { signal })
    .finally(() => ring.close());
  // Told below, unless the reader leaves.
  packed.catch(() => {});
  yield* ring.bytes({ lend });
  await packed;
}

/** In a worker thread. */
export function packIntoRing(
  { upper, below, root, clamp, ring }: UpperToPack & { clamp: TimeClamp | undefined; ring: SharedArrayBuffer },
  abort: AbortFlag,
): void {
  using files = new UpperFiles(upper.root);
  const writer = new RingWriter(ring);
  const sink: TarSink = {
    write: (bytes) => writer.write(bytes),
    fill: (sizeBytes, read) => {
      read(writer.room(sizeBytes).subarray(0, sizeBytes));
      writer.advance(sizeBytes);
    },
  };
  const data = { room: () => writer.room(), done: (bytes: number) => writer.advance(bytes) };
  const base = { below: mergedRoot(below.map(bytesFromUtf8), marksOf(upper)), root };
  for (const large of packUpper(upper, base, { files, sink, clamp })) {
    abort.check();
    if (large !== undefined) files.readInto(large.path, large.sizeBytes, data);
  }
  writer.end();
}

class Gathered implements TarSink {
  #parts: Uint8Array[] = [];
  sizeBytes = 0;

  write(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.sizeBytes += bytes.length;
  }

  fill(sizeBytes: number, read: (into: Buffer) => void): void {
    const bytes = Buffer.allocUnsafe(sizeBytes);
    read(bytes);
    this.write(bytes);
  }

  take(): Buffer {
    const bytes = Buffer.concat(this.#parts, this.sizeBytes);
    this.#parts = [];
    this.sizeBytes = 0;
    return bytes;
  }
}
