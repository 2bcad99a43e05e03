import { readFileSync } from 'node:fs';
import { EngineError, isErrno } from '#errdefs';
import type { IDMapping, IDRange } from './id-mapping.ts';

/** The files that say who may have which IDs; a folder of a test's own in place of /etc. */
export interface AccountFolder {
  readonly etc: string;
}

/** The user that `default` means. */
export const defaultUser = 'dockremap';

const invalid = (message: string) => new EngineError('invalid-argument', message);

interface Entry {
  readonly name: string;
  readonly id: number;
}

/**
 * The user whose subordinate IDs containers get, of `default`, `user`, `user:group`, `uid`, `uid:gid`.
 * @throws `invalid-argument` in dockerd's words for one that is not there.
 */
export function findUser(value: string, folder: AccountFolder): string {
  const parts = value.split(':');
  if (parts.length > 2) throw invalid(`Invalid user/group specification in --userns-remap: "${value}"`);
  const [userPart = '', groupPart] = parts;
  const users = readEntries(`${folder.etc}/passwd`);
  const groups = readEntries(`${folder.etc}/group`);
  if (groupPart !== undefined) requireGroup(groups, groupPart);
  if (isNumber(userPart)) {
    const user = users.find(({ id }) => id === Number(userPart));
    if (!user) throw invalid(`Uid ${userPart} has no entry in /etc/passwd: ${missing(userPart, 'passwd')}`);
    if (groupPart === undefined) requireGroup(groups, userPart);
    return user.name;
  }
  const name = userPart === 'default' ? defaultUser : userPart;
  if (!users.some((user) => user.name === name)) {
    throw invalid(`Error during uid lookup for "${name}": ${missing(name, 'passwd')}`);
  }
  if (groupPart === undefined) requireGroup(groups, name);
  return name;
}

const missing = (entry: string, database: string) => `getent unable to find entry "${entry}" in ${database} database`;

function requireGroup(groups: readonly Entry[], wanted: string): void {
  if (isNumber(wanted)) {
    if (groups.some(({ id }) => id === Number(wanted))) return;
    throw invalid(`Gid ${wanted} has no entry in /etc/passwd: ${missing(wanted, 'group')}`);
  }
  if (groups.some(({ name }) => name === wanted)) return;
  throw invalid(`Error during gid lookup for "${wanted}": ${missing(wanted, 'group')}`);
}

/**
 * The IDs that /etc/subuid and /etc/subgid give a user, one range after the other from 0 on.
 * @throws `invalid-argument` when there are none.
 */
export function subordinateMapping(user: string, folder: AccountFolder): IDMapping {
  const id = readEntries(`${folder.etc}/passwd`).find(({ name }) => name === user)?.id;
  const owners = new Set([user, ...(id === undefined ? [] : [String(id)])]);
  return { uids: mapOf('subuid', user, owners, folder), gids: mapOf('subgid', user, owners, folder) };
}

function mapOf(file: string, user: string, owners: ReadonlySet<string>, { etc }: AccountFolder): IDRange[] {
  const ranges: IDRange[] = [];
  let container = 0;
  for (const [owner = '', start = '', count = ''] of readLines(`${etc}/${file}`)) {
    if (!owners.has(owner) || !isNumber(start) || !isNumber(count) || Number(count) === 0) continue;
    ranges.push({ container, host: Number(start), sizeIDs: Number(count) });
    container += Number(count);
  }
  if (ranges.length === 0) throw invalid(`Can't create ID mappings: no ${file} ranges found for user "${user}"`);
  return ranges;
}

const isNumber = (text: string) => /^\d{1,10}$/.test(text);

const readEntries = (path: string): Entry[] =>
  readLines(path).flatMap(([name = '', , id = '']) => (isNumber(id) ? [{ name, id: Number(id) }] : []));

function readLines(path: string): string[][] {
  let text: string;
  try {
    text = readFileSync(path).toString();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => line.trim().split(':'));
}
