import { readSync } from 'node:fs';
import { EngineError } from '#errdefs';
import { type Insert, slotBytes } from './protocol.ts';

const pieceBytes = 1 << 20;
const piece = Buffer.allocUnsafeSlow(pieceBytes);

/** What a slot brings, with its inserts in their places. Each piece is the caller's until the next is asked for; one layer at a time. */
export function* slotBytesOf(
  ring: SharedArrayBuffer,
  { slot, lengthBytes, inserts }: { slot: number; lengthBytes: number; inserts: readonly Insert[] },
): Generator<Buffer> {
  const own = Buffer.from(ring, slot * slotBytes, lengthBytes);
  if (inserts.length === 0) {
    yield own;
    return;
  }
  let [fill, done] = [0, 0];
  for (const insert of inserts) {
    for (; done < insert.at; fill %= pieceBytes) {
      const copied = own.copy(piece, fill, done, insert.at);
      [fill, done] = [fill + copied, done + copied];
      if (fill === pieceBytes) yield piece;
    }
    for (let read = 0; read < insert.lengthBytes; fill %= pieceBytes) {
      const got = readInto(insert, read, fill);
      [fill, read] = [fill + got, read + got];
      if (fill === pieceBytes) yield piece;
    }
  }
  if (fill > 0) yield piece.subarray(0, fill);
  if (done < lengthBytes) yield own.subarray(done);
}

/** @throws `data-loss` where the file is too short */
function readInto({ fd, offset, lengthBytes }: Insert, read: number, fill: number): number {
  const wanted = Math.min(pieceBytes - fill, lengthBytes - read);
  const got = readSync(fd, piece, fill, wanted, offset + read);
  if (got === 0) throw new EngineError('data-loss', `read file: it ends at byte ${offset + read}`);
  return got;
}
