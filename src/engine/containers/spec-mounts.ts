import { chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import type { SpecMount } from '#runtime';
import { mountFlags, sys } from '#sys';
import type { Owner } from '../remap/index.ts';
import { checkPropagation } from './propagation.ts';
import type { PlannedMount } from './record.ts';
import { tmpfsOptions } from './tmpfs-options.ts';

/** Mounts for the runtime, shallow destinations first so that nested ones land inside. Missing bind sources are made, as `-v` does. */
export function specMounts(
  mounts: readonly PlannedMount[],
  held: ReadonlyMap<string, string> = new Map(),
  owner: Owner = { uid: 0, gid: 0 },
): SpecMount[] {
  const sorted = [...mounts].sort((a, b) => depth(a.destination) - depth(b.destination));
  return sorted.map((mount): SpecMount => {
    switch (mount.kind) {
      case 'tmpfs':
        return { destination: mount.destination, type: 'tmpfs', source: 'tmpfs', options: tmpfsOptions(mount.options) };
      case 'image':
        return {
          destination: mount.destination,
          type: 'bind',
          source: held.get(mount.destination) ?? mount.source,
          options: ['rbind', mount.readOnly ? 'ro' : 'rw', 'rprivate'],
        };
      case 'volume':
        return {
          destination: mount.destination,
          type: 'bind',
          source: held.get(mount.destination) ?? mount.source,
          options: bindOptions({
            ...mount,
            source: held.get(mount.destination) ?? mount.source,
            propagation: 'rprivate',
            recursive: true,
          }),
        };
      case 'bind':
        makeSource(mount.source, owner);
        checkPropagation(mount.source, mount.propagation);
        return {
          destination: mount.destination,
          type: 'bind',
          source: held.get(mount.destination) ?? mount.source,
          options: bindOptions(mount),
        };
      default:
        return mount satisfies never;
    }
  });
}

/** A bind's source that is not there becomes a folder of the container's root. */
function makeSource(path: string, { uid, gid }: Owner): void {
  if (existsSync(path)) return;
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined || uid === 0) return;
  for (let at = path; at.length >= first.length; at = posix.dirname(at)) chownSync(at, uid, gid);
}

const depth = (path: string) => path.split('/').length;

type BindAccess = Pick<
  Extract<PlannedMount, { kind: 'bind' }>,
  'source' | 'propagation' | 'readOnly' | 'recursive' | 'readOnlyNonRecursive'
>;

function bindOptions({ source, propagation, readOnly, recursive, readOnlyNonRecursive }: BindAccess): string[] {
  const kept = restrictions(source);
  const how = recursive ? 'rbind' : 'bind';
  if (!readOnly) return [how, ...(kept.includes('ro') ? kept : ['rw', ...kept]), propagation];
  // What is mounted below a read-only bind is not writable through it either, unless asked for. Nothing is mounted
  // below a file, and crun opens the target of `rro` as a folder.
  const deep = recursive && !readOnlyNonRecursive && statSync(source).isDirectory();
  const access = deep ? ['ro', 'rro'] : ['ro'];
  return [how, ...access, ...kept.filter((flag) => flag !== 'ro'), propagation];
}

const { readOnly, noSuid, noDev, noExec } = mountFlags;
const restricting = [
  ['ro', readOnly],
  ['nosuid', noSuid],
  ['nodev', noDev],
  ['noexec', noExec],
] as const;

/** What the source's mount does not allow: crun would lift it, where the kernel and runc keep it in a bind. */
function restrictions(source: string): string[] {
  const { flags } = sys.statfs(source);
  return restricting.filter(([, flag]) => (flags & flag) !== 0).map(([name]) => name);
}
