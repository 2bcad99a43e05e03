import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '#errdefs';
import { readBounded } from '#files';
import { sys } from '#sys';

interface Owner {
  readonly pid: number;
  readonly sockets: readonly string[];
  /** Where what runs of this data root is; absent when the owner did not say. */
  readonly execRoot?: string;
}

/**
 * Makes this process the data root's one owner until disposed. The lock is an open-file-description lock on `<root>/lock`: it ends with the
 * process however that ends, and children do not inherit it (the descriptor is close-on-exec).
 *
 * @throws `conflict` naming the owner's pid and sockets when another has it.
 */
export async function lockDataRoot(root: string, owner: Omit<Owner, 'pid'>): Promise<AsyncDisposable> {
  await mkdir(root, { recursive: true });
  const path = join(root, 'lock');
  const file = await open(path, 'a+', 0o600);
  try {
    if (!sys.tryLock(file.fd)) throw await refusal(root, path);
    await file.truncate(0);
    const text: Owner = { pid: process.pid, ...owner };
    await file.write(`${JSON.stringify(text)}\n`);
  } catch (error) {
    await file.close();
    throw error;
  }
  return { [Symbol.asyncDispose]: () => file.close() };
}

/** Who owns the data root, as far as its lock file tells; the owner may have ended since. */
export async function dataRootOwner(root: string): Promise<Owner | undefined> {
  return readOwner(join(root, 'lock'));
}

async function refusal(root: string, path: string): Promise<EngineError> {
  const owner = await readOwner(path);
  const who = owner ? `process ${owner.pid}` : 'another process';
  const where = owner?.sockets.length ? `, listening on ${owner.sockets.join(', ')}` : '';
  return new EngineError('conflict', `open data root ${root}: it is in use by ${who}${where}`);
}

async function readOwner(path: string): Promise<Owner | undefined> {
  const bytes = await readBounded(path, 64 << 10);
  try {
    const value: unknown = JSON.parse(bytes?.toString('utf8') ?? '');
    const { pid, sockets, execRoot } = value as Partial<Owner>;
    if (!Number.isSafeInteger(pid) || !Array.isArray(sockets)) return undefined;
    return {
      pid: pid!,
      sockets: sockets.filter((socket) => typeof socket === 'string'),
      ...(typeof execRoot === 'string' ? { execRoot } : {}),
    };
  } catch {
    // Just taken and not written yet.
    return undefined;
  }
}
