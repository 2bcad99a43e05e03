import { endOfArchive, packHeader, packPadding, readTar, type TarTime } from '#archive';
import type { ByteSource } from '#streams';

/** A layer's tar with no time after `epochSec`: what a step writes would else tell when it ran. Times before it are what they are. */
export async function* clampTimes(layer: ByteSource, epochSec: number): AsyncGenerator<Uint8Array> {
  for await (const item of readTar(layer)) {
    const { atime: _atime, ctime: _ctime, ...entry } = item;
    yield packHeader({ ...entry, mtime: clamped(item.mtime, epochSec) });
    if (item.type !== 'file' || item.sizeBytes === 0) continue;
    yield* item.body;
    yield packPadding(item.sizeBytes);
  }
  yield endOfArchive;
}

function clamped(time: TarTime, epochSec: number): TarTime {
  return time.sec >= epochSec ? { sec: epochSec, nsec: 0 } : time;
}
