import { EngineError } from '#errdefs';
import { readAll } from '#streams';
import type { LayerDraft, Owner } from './layer-draft.ts';
import { resolvePath } from './source-tree.ts';

const maxDatabaseBytes = 16 << 20;
const maxID = 0xffffffff;

/**
 * `--chown=user[:group]`: numbers as they are, names from the stage's own /etc/passwd and /etc/group. Without a group the user's word names the group
 * too, as Docker has it.
 * @throws EngineError `invalid-argument` in Docker's words
 */
export async function resolveOwner(draft: LayerDraft, chown: string): Promise<Owner> {
  const parts = chown.split(':');
  const prefix = 'unable to convert uid/gid chown string to host mapping: ';
  if (parts.length > 2) throw new EngineError('invalid-argument', `${prefix}invalid chown string format: ${chown}`);
  const [user, group = user] = parts;
  const uid = await lookup(draft, 'etc/passwd', user!);
  if (uid === undefined) {
    throw new EngineError('invalid-argument', `${prefix}can't find uid for user ${user}: no such user: ${user}`);
  }
  const gid = await lookup(draft, 'etc/group', group!);
  if (gid === undefined) {
    throw new EngineError('invalid-argument', `${prefix}can't find gid for group ${group}: no such group: ${group}`);
  }
  return { uid, gid };
}

async function lookup(draft: LayerDraft, database: string, name: string): Promise<number | undefined> {
  if (/^[+-]?\d+$/.test(name)) {
    const id = Number(name);
    if (id < 0 || id > maxID) throw new EngineError('invalid-argument', `chown: ${name} is out of range`);
    return id;
  }
  const path = await resolvePath(draft, database);
  if ((await draft.lstat(path))?.type !== 'file') return undefined;
  const text = (await readAll(draft.read(path), maxDatabaseBytes, `/${database}`)).toString();
  for (const line of text.split('\n')) {
    const fields = line.trim().split(':');
    if (fields[0] === name && /^\d+$/.test(fields[2] ?? '')) return Number(fields[2]);
  }
  return undefined;
}
