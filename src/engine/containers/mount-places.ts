import { closeSync, constants, fchownSync, openSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { bytesFromUtf8 } from '#archive';
import { isErrno } from '#errdefs';
import type { SpecMount } from '#runtime';
import { resolveFlags, sys } from '#sys';
import { type IDMapping, rootOf } from '../remap/index.ts';
import { openFolder } from './extract.ts';

const pathOnly = 0o10000000; // O_PATH, which Node has no name for

/** Where the runtime mounts what every container has. */
const systemFolders = ['/dev', '/proc', '/sys'];

/**
 * Makes the places in a root, which nobody uses yet, that something is to be mounted on, with the modes that runc gives them: what is made stays when the
 * container has ended, and crun's folders are sticky and its files their owner's alone. A place that cannot be made is left for the runtime to speak of.
 */
export function makeMountPoints(root: string, mounts: readonly SpecMount[], ids: IDMapping | undefined): void {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const covered = [...systemFolders, ...mounts.map(({ destination }) => destination)];
    for (const mount of mounts) {
      const { destination } = mount;
      const isCovered = covered.some((folder) => destination.startsWith(`${folder.replace(/\/$/, '')}/`));
      if (!isCovered && !isThere(rootFd, destination)) make(rootFd, mount, ids);
    }
  } finally {
    closeSync(rootFd);
  }
}

function isThere(rootFd: number, path: string): boolean {
  try {
    closeSync(sys.openInRoot(rootFd, path, pathOnly, 0, resolveFlags.inRoot));
    return true;
  } catch (error) {
    return !isErrno(error, 'ENOENT');
  }
}

function make(rootFd: number, { destination, type, source }: SpecMount, ids: IDMapping | undefined): void {
  const path = bytesFromUtf8(destination);
  try {
    if (type !== 'bind' || statSync(source).isDirectory()) closeSync(openFolder(rootFd, path, ids));
    else makeFile(rootFd, path, ids);
  } catch (error) {
    if (!['EEXIST', 'ENOTDIR', 'ELOOP', 'ENOENT'].some((code) => isErrno(error, code))) throw error;
  }
}

function makeFile(rootFd: number, path: string, ids: IDMapping | undefined): void {
  const folderFd = openFolder(rootFd, posix.dirname(path), ids);
  try {
    const place = Buffer.from(`/proc/self/fd/${folderFd}/${posix.basename(path)}`, 'latin1');
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = openSync(place, flags, 0o644);
    const { uid, gid } = rootOf(ids);
    fchownSync(fd, uid, gid);
    closeSync(fd);
  } finally {
    closeSync(folderFd);
  }
}
