import type { ContentStore } from '#content';
import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';
import { shownPath } from './describe.ts';
import type { DataPlace, FoundFile, ImageTree } from './image-tree.ts';

/** Zeros of a hole are made in pieces of this size, and data of an index is read so. */
const chunkBytes = 1 << 20;

/** A file's content; the tree stays open while it is read. @throws `failed-precondition` for what is no file. */
export function readFileOf(content: Pick<ContentStore, 'open'>, tree: ImageTree, file: FoundFile): ByteSource {
  const { type, sizeBytes } = tree.inode(file.node);
  if (type !== 'file') {
    const what = type === 'directory' ? 'a directory' : `a ${type === 'char' || type === 'block' ? 'device' : type}`;
    throw new EngineError('failed-precondition', `${shownPath(file.path)}: is ${what}`);
  }
  return bytesOfPlaces(content, tree.data(file.node), sizeBytes);
}

async function* bytesOfPlaces(
  content: Pick<ContentStore, 'open'>,
  places: readonly DataPlace[],
  sizeBytes: number,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for (const place of places) {
    yield* zeros(place.offset - done);
    yield* placeBytes(content, place);
    done = place.offset + place.lengthBytes;
  }
  yield* zeros(sizeBytes - done);
}

async function* placeBytes(
  content: Pick<ContentStore, 'open'>,
  { source, sourceOffset, lengthBytes }: DataPlace,
): AsyncGenerator<Uint8Array> {
  if ('layer' in source) {
    yield* content.open(source.layer, { offset: sourceOffset, length: lengthBytes });
    return;
  }
  for (let done = 0; done < lengthBytes; done += chunkBytes) {
    const part = Buffer.alloc(Math.min(chunkBytes, lengthBytes - done));
    source.index.read(part, sourceOffset + done);
    yield part;
  }
}

function* zeros(lengthBytes: number): Generator<Uint8Array> {
  for (let done = 0; done < lengthBytes; done += chunkBytes)
    yield Buffer.alloc(Math.min(chunkBytes, lengthBytes - done));
}
