import { readSync } from 'node:fs';
import { withFile } from './layer-file.ts';

const bufferBytes = 1 << 20;

/** Whether two files hold the same bytes. Blocking. */
export function sameBytes(left: string | Buffer, right: string | Buffer): boolean {
  return withFile(left, (a) => withFile(right, (b) => sameData(a, b)));
}

function sameData(left: number, right: number): boolean {
  const [a, b] = [Buffer.alloc(bufferBytes), Buffer.alloc(bufferBytes)];
  for (let at = 0; ; ) {
    const [m, n] = [readSync(left, a, 0, bufferBytes, at), readSync(right, b, 0, bufferBytes, at)];
    if (m !== n || Buffer.compare(a.subarray(0, m), b.subarray(0, n)) !== 0) return false;
    if (m === 0) return true;
    at += m;
  }
}
