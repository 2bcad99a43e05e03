import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { EngineError, isErrno } from '#errdefs';
import { resolveFlags, sys } from '#sys';

/** Who a process runs as: OCI runtime-spec v1.1 config.md §posix-platform-user, and the home folder for $HOME. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

const maxAccountFileBytes = 4 << 20;
const maxID = 2 ** 31 - 1;

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * Resolves `user[:group]` inside a container's root, as runc and Docker do: names through the root's own account files, numbers as they are.
 * The root may be a live container's: files are opened by descriptor, never by a path that could be swapped (CVE-2018-15664).
 *
 * @throws `invalid-argument` `unable to find user x: no matching entries in passwd file` and its sister for groups.
 */
export function resolveUser(root: string, user: string, groupAdd: readonly string[] = []): ResolvedUser {
  const accounts = parsePasswd(readAccountFile(root, 'etc/passwd') ?? '');
  const groups = parseGroup(readAccountFile(root, 'etc/group') ?? '');
  const [userPart = '', ...rest] = user.split(':');
  const groupPart = rest.join(':');
  const account = findAccount(accounts, userPart);
  const gid = groupPart === '' ? account.gid : findGroup(groups, groupPart);
  const memberOf =
    groupPart === '' && account.name !== '' ? groups.filter((group) => group.members.includes(account.name)) : [];
  const extra = groupAdd.map((group) => findGroup(groups, group));
  const additionalGids = [...new Set([gid, ...memberOf.map((group) => group.gid), ...extra])];
  return { uid: account.uid, gid, additionalGids, home: account.home };
}

function findAccount(accounts: readonly Account[], wanted: string): Account {
  if (wanted === '') return accounts.find((account) => account.uid === 0) ?? { name: '', uid: 0, gid: 0, home: '/' };
  const named = accounts.find((account) => account.name === wanted);
  if (named) return named;
  const uid = parseID(wanted);
  if (uid === undefined) {
    throw new EngineError('invalid-argument', `unable to find user ${wanted}: no matching entries in passwd file`);
  }
  return accounts.find((account) => account.uid === uid) ?? { name: '', uid, gid: 0, home: '/' };
}

function findGroup(groups: readonly Group[], wanted: string): number {
  const named = groups.find((group) => group.name === wanted);
  if (named) return named.gid;
  const gid = parseID(wanted);
  if (gid === undefined) {
    throw new EngineError('invalid-argument', `unable to find group ${wanted}: no matching entries in group file`);
  }
  return gid;
}

function parseID(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > maxID) throw new EngineError('invalid-argument', `uids and gids must be in range 0-${maxID}`);
  return id;
}

function parsePasswd(text: string): Account[] {
  return lines(text).flatMap((fields) => {
    const [name = '', , uid = '', gid = '', , home = ''] = fields;
    return isID(uid) && isID(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home: home === '' ? '/' : home }] : [];
  });
}

function parseGroup(text: string): Group[] {
  return lines(text).flatMap((fields) => {
    const [name = '', , gid = '', members = ''] = fields;
    return isID(gid) ? [{ name, gid: Number(gid), members: members.split(',') }] : [];
  });
}

const isID = (text: string) => /^\d{1,10}$/.test(text);
const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));

/** Where `docker cp -a` looks for a user or a group: whether there is such a file at all. */
export function hasAccountFile(root: string, kind: string): boolean {
  return readAccountFile(root, kind === 'user' ? 'etc/passwd' : 'etc/group') !== undefined;
}

/** Undefined where there is none. */
function readAccountFile(root: string, path: string): string | undefined {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = sys.openInRoot(rootFd, path, constants.O_RDONLY | constants.O_NONBLOCK, 0, resolveFlags.inRoot);
    try {
      if (!fstatSync(fd).isFile()) return '';
      const buffer = Buffer.alloc(Math.min(fstatSync(fd).size, maxAccountFileBytes));
      return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR') || isErrno(error, 'ELOOP')) return undefined;
    throw error;
  } finally {
    closeSync(rootFd);
  }
}
