import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { EngineError, isErrno, messageOf } from '#errdefs';
import { type AccountFolder, defaultUser } from './remapped-user.ts';

const run = promisify(execFile);
const sizeIDs = 65536;
/** Where dockerd begins. */
const firstID = 100_000;

/** `default`: makes the user, its group and its subordinate IDs where the machine has them not, with the machine's own commands, as dockerd does. */
export async function ensureDefaultUser(folder: AccountFolder = { etc: '/etc' }): Promise<void> {
  try {
    if (!has(folder, 'passwd')) {
      const flags = ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false'];
      await run('useradd', [...flags, defaultUser]);
    }
    if (!has(folder, 'subuid')) await run('usermod', ['--add-subuids', freeRange(folder, 'subuid'), defaultUser]);
    if (!has(folder, 'subgid')) await run('usermod', ['--add-subgids', freeRange(folder, 'subgid'), defaultUser]);
  } catch (cause) {
    throw new EngineError('failed-precondition', `error during "${defaultUser}" user creation: ${messageOf(cause)}`, {
      cause,
    });
  }
}

const has = (folder: AccountFolder, file: string) =>
  read(folder, file).some((line) => line.startsWith(`${defaultUser}:`));

/** The first that is nobody's, as usermod takes it. */
export function freeRange(folder: AccountFolder, file: string): string {
  const taken = read(folder, file)
    .map((line) => line.split(':').map(Number))
    .filter(([, start, count]) => (start ?? 0) > 0 && (count ?? 0) > 0)
    .sort((a, b) => a[1]! - b[1]!);
  let at = firstID;
  for (const [, start, count] of taken) {
    if (start! < at + sizeIDs && at < start! + count!) at = start! + count!;
  }
  return `${at}-${at + sizeIDs - 1}`;
}

function read({ etc }: AccountFolder, file: string): string[] {
  try {
    return readFileSync(`${etc}/${file}`).toString().split('\n');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
