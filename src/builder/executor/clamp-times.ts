import { endOfArchive, packHeader, packPadding, readTar, type TarTime } from '#archive';
import type { ByteSource } from '#streams';

export interface Clamp {
  /** What the times become, in seconds since the epoch. */
  readonly moment: number;
  /** Times from here on are changed: a step that takes place before its moment leaves times of today. The moment itself when absent. */
  readonly fromSec?: number;
}

/** A layer's tar with no time after a moment: what a step writes would else tell when it ran. Times before it are what they are. */
export async function* clampTimes(layer: ByteSource, clamp: Clamp): AsyncGenerator<Uint8Array> {
  for await (const item of readTar(layer)) {
    const { atime: _atime, ctime: _ctime, ...entry } = item;
    yield packHeader({ ...entry, mtime: clampedTime(item.mtime, clamp) });
    if (item.type !== 'file' || item.sizeBytes === 0) continue;
    yield* item.body;
    yield packPadding(item.sizeBytes);
  }
  yield endOfArchive;
}

export function clampedTime(time: TarTime, { moment, fromSec = moment }: Clamp): TarTime {
  return time.sec >= Math.min(moment, fromSec) ? { sec: moment, nsec: 0 } : time;
}
