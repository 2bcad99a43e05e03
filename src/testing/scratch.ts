import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const tmpfs = 0x01021994;

/**
 * Where tests work: the machine's temporary folder, or the one that survives restarts when that is in memory. Layers are mounted from there, which the
 * kernel does from files of a disk only, and it is a disk that the tests mean.
 */
export function scratchFolder(): string {
  return statfsSync(tmpdir()).type === tmpfs ? '/var/tmp' : tmpdir();
}
