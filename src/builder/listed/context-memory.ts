import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { writeAtomic } from '#files';
import { log } from '#log';

/** Line of a listing to digest of the file: hexadecimal, as cache keys have it. */
export type Digests = ReadonlyMap<string, string>;

export interface MemoryLimits {
  /** Contexts on disk, and their bytes; the ones used longest ago go first. */
  readonly contexts: number;
  readonly bytes: number;
  /** Lines that are also held in memory, over all contexts. */
  readonly heldLines: number;
}

const standard: MemoryLimits = { contexts: 200, bytes: 512 << 20, heldLines: 300_000 };
const title = 'wherry context digests 1\n';
const digestLength = 64;

/**
 * What was found out about the files of contexts: a file each, with its own checksum, so that one cut short by a crash is none. Nothing is lost with it
 * but the time to read the files again; that is also why nothing is synced.
 */
export class ContextMemory {
  readonly #folder: string;
  readonly #limits: MemoryLimits;
  /** The one used last stands last. */
  readonly #held = new Map<string, Digests>();

  constructor(folder: string, limits: Partial<MemoryLimits> = {}) {
    this.#folder = folder;
    this.#limits = { ...standard, ...limits };
  }

  /** `context`: any words that tell it from others. Never fails: what cannot be read is not remembered. */
  async load(context: string): Promise<Digests> {
    const held = this.#held.get(context);
    if (held) {
      this.#hold(context, held);
      return held;
    }
    const digests = await this.#read(context);
    this.#hold(context, digests);
    return digests;
  }

  /** In place of what was remembered of the context. Never fails. */
  async save(context: string, digests: Digests): Promise<void> {
    this.#hold(context, digests);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeAtomic(this.#pathOf(context), encode(digests), { durable: false });
      await this.#trim();
    } catch (error) {
      log.warn('could not remember a build context', { error });
    }
  }

  /** A context was used as it is remembered. */
  async touch(context: string): Promise<void> {
    const now = new Date();
    await utimes(this.#pathOf(context), now, now).catch(() => {});
  }

  /** Forgets all. */
  async clear(): Promise<void> {
    this.#held.clear();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #pathOf(context: string): string {
    return join(this.#folder, createHash('sha256').update(context).digest('hex'));
  }

  #hold(context: string, digests: Digests): void {
    this.#held.delete(context);
    if (digests.size === 0 || digests.size > this.#limits.heldLines) return;
    this.#held.set(context, digests);
    let lines = this.#held.values().reduce((sum, one) => sum + one.size, 0);
    for (const [other, { size }] of this.#held) {
      if (lines <= this.#limits.heldLines) break;
      this.#held.delete(other);
      lines -= size;
    }
  }

  async #read(context: string): Promise<Digests> {
    try {
      return decode(await readFile(this.#pathOf(context)));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) log.warn('could not read what is remembered of a build context', { error });
      return new Map();
    }
  }

  async #trim(): Promise<void> {
    const names = await readdir(this.#folder);
    const files = await Promise.all(names.map(async (name) => ({ name, ...(await sizeAndTime(this.#folder, name)) })));
    files.sort((a, b) => b.usedMs - a.usedMs);
    let bytes = 0;
    for (const [index, { name, sizeBytes }] of files.entries()) {
      bytes += sizeBytes;
      if (index < this.#limits.contexts && bytes <= this.#limits.bytes) continue;
      await rm(join(this.#folder, name), { force: true });
    }
  }
}

async function sizeAndTime(folder: string, name: string): Promise<{ sizeBytes: number; usedMs: number }> {
  try {
    const { size, mtimeMs } = await stat(join(folder, name));
    return { sizeBytes: size, usedMs: mtimeMs };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { sizeBytes: 0, usedMs: 0 };
    throw error;
  }
}

function encode(digests: Digests): Buffer {
  const parts: string[] = [title];
  for (const [line, digest] of digests) parts.push(`${digest}${line}\n`);
  const body = Buffer.from(parts.join(''));
  return Buffer.concat([body, Buffer.from(checksum(body))]);
}

/** Nothing of a file that is not whole. */
function decode(bytes: Buffer): Digests {
  const body = bytes.subarray(0, Math.max(0, bytes.length - digestLength));
  if (bytes.toString('latin1', body.length) !== checksum(body)) return new Map();
  const text = body.toString('utf8');
  if (!text.startsWith(title)) return new Map();
  const lines = text.slice(title.length).split('\n');
  lines.pop();
  return new Map(lines.map((line) => [line.slice(digestLength), line.slice(0, digestLength)]));
}

function checksum(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
