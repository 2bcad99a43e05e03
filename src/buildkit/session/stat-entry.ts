import type { ListedEntry } from '#context-listing';
import { EngineError } from '#errdefs';
import type { Stat } from '../proto/fsutil_pb.ts';

/** Bits of Go's `fs.FileMode` above the permissions. */
export const modeBits = {
  folder: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  pipe: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  charDevice: 2 ** 21,
  sticky: 2 ** 20,
} as const;

const nsPerSecond = 1_000_000_000n;

/**
 * A file as a listing has it; undefined for a socket, which no context holds. Owners do not count: what is copied from a context is root's. With `stamped`,
 * a file whose size and time are the same as before is taken for the same, as BuildKit takes it.
 * @throws `invalid-argument`
 */
export function entryOf(stat: Stat, { stamped }: { stamped: boolean }): ListedEntry | undefined {
  const { mode } = stat;
  const is = (bit: keyof typeof modeBits) => Math.floor(mode / modeBits[bit]) % 2 === 1;
  const sizeBytes = Number(stat.size);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new EngineError('invalid-argument', `build context: ${stat.path}: a size of ${stat.size} bytes`);
  }
  const special = (is('setuid') ? 0o4000 : 0) | (is('setgid') ? 0o2000 : 0) | (is('sticky') ? 0o1000 : 0);
  const common = {
    path: bytes(stat.path),
    mode: (mode & 0o777) | special,
    mtimeSec: Number(floorDiv(stat.modTime, nsPerSecond)),
  };
  if (is('folder')) return { ...common, type: 'directory' };
  if (is('symlink')) return { ...common, type: 'symlink', linkPath: bytes(stat.linkName) };
  if (is('socket')) return undefined;
  if (is('pipe')) return { ...common, type: 'fifo' };
  if (stat.linkName !== '') return { ...common, type: 'hardlink', linkPath: bytes(stat.linkName) };
  if (is('device')) {
    const numbers = { devMajor: Number(stat.devMajor), devMinor: Number(stat.devMinor) };
    return { ...common, type: is('charDevice') ? 'char' : 'block', ...numbers };
  }
  const capability = stat.xattrs['security.capability'];
  return {
    ...common,
    type: 'file',
    sizeBytes,
    ...(stamped && stat.modTime >= 0n ? { stamp: `0 0 ${stat.modTime} ${stat.modTime}` } : {}),
    // Packets are in memory that the next one uses again.
    ...(capability ? { capability: Uint8Array.from(capability) } : {}),
  };
}

function floorDiv(value: bigint, by: bigint): bigint {
  return value < 0n && value % by !== 0n ? value / by - 1n : value / by;
}

/** A name as a listing has it: each character a byte. */
function bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}
