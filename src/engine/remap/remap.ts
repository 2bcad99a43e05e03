import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { EngineError } from '#errdefs';
import { log } from '#log';
import { type DriverName, probeMapped } from '#snapshots';
import { sys } from '#sys';
import { ensureDefaultUser } from './default-user.ts';
import { type IDMapping, type IDRange, mapText, type Owner, rootOf } from './id-mapping.ts';
import { findUser, subordinateMapping } from './remapped-user.ts';

/** `--userns-remap`: every container that does not ask for the host's user namespace gets one of its own with these IDs. */
export interface Remap extends Disposable {
  readonly user: string;
  readonly mapping: IDMapping;
  /** A descriptor of a user namespace with these IDs, under which snapshots and volumes are mounted: on the disk are the containers' own. */
  readonly userNamespace: number;
}

/** No user of a container has it: the daemon's own writes to a mounted snapshot, overlayfs' among them, are recorded under it. */
const daemonOnDisk = 4294967294;

/**
 * Undefined when nothing is to be remapped.
 * @throws `invalid-argument` in dockerd's words for a user or IDs that are not there, `failed-precondition` when the data root cannot be shown under other IDs.
 */
export async function openRemap(
  value: string | undefined,
  place: { root: string; execRoot: string; driver: DriverName },
): Promise<Remap | undefined> {
  if (!value) return undefined;
  if (value === 'default') await ensureDefaultUser();
  const folder = { etc: '/etc' };
  const user = findUser(value, folder);
  if (user === 'root') {
    log.warn('User namespaces: root cannot be remapped with itself; user namespaces are OFF');
    return undefined;
  }
  const mapping = subordinateMapping(user, folder);
  requireReachable(place.execRoot, rootOf(mapping));
  const userNamespace = sys.openUserNamespace(diskMap(mapping.uids), diskMap(mapping.gids));
  const refusal = await probeMapped(place.root, { userNamespace, driver: place.driver });
  if (refusal !== undefined) {
    sys.close(userNamespace);
    const needs = 'userns-remap needs Linux 5.19 or newer and a file system that can be shown under other IDs';
    throw new EngineError('failed-precondition', `${needs}; data root ${place.root}: ${refusal}`);
  }
  log.info('containers have user namespaces of their own', { user, uids: mapText(mapping.uids).trim() });
  return { user, mapping, userNamespace, [Symbol.dispose]: () => sys.close(userNamespace) };
}

/** A container's root is looked up by its own root user. @throws `failed-precondition` in dockerd's words. */
function requireReachable(path: string, { uid, gid }: Owner): void {
  for (let at = path; ; at = dirname(at)) {
    const stat = statSync(at);
    const enter = stat.uid === uid ? 0o100 : stat.gid === gid ? 0o010 : 0o001;
    if ((stat.mode & enter) === 0) {
      const restricts = `a subdirectory in your exec root path (${path}) restricts access to the remapped root uid/gid`;
      const message = `${restricts}; please fix by allowing 'o+x' permissions on existing directories: ${at}`;
      throw new EngineError('failed-precondition', message);
    }
    if (at === '/') return;
  }
}

function diskMap(ranges: readonly IDRange[]): string {
  const hasRoot = ranges.some(({ host }) => host === 0);
  return mapText([...ranges, ...(hasRoot ? [] : [{ container: daemonOnDisk, host: 0, sizeIDs: 1 }])]);
}
