import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { sys } from '#sys';

export interface OciDevice {
  readonly path: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

const typeMask = 0o170000;
const blockType = 0o060000;
const characterType = 0o020000;
/** The container has its own of these. */
const skipped = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev', 'console']);

/** The devices of the machine, which a privileged container sees all of. */
export function hostDevices(folder = '/dev'): OciDevice[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return hostDevices(path);
    return entry.isBlockDevice() || entry.isCharacterDevice() ? deviceAt(path) : [];
  });
}

/** The device at a path, as a list of one; empty for anything else. */
export function deviceAt(path: string): OciDevice[] {
  try {
    const { mode, uid, gid, rdevMajor: major, rdevMinor: minor } = sys.lstat(path);
    const kind = mode & typeMask;
    if (kind !== blockType && kind !== characterType) return [];
    const type = kind === blockType ? 'b' : 'c';
    return [{ path, type, major, minor, fileMode: mode & 0o7777, uid, gid }];
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []; // unplugged meanwhile
    throw error;
  }
}
