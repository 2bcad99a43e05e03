import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { readBounded } from '#files';
import { log } from '#log';
import { parseDiffID } from '#oci';
import { makeSpreadFolder } from '#sys';
import { FreedInodes } from './freed-inodes.ts';
import type { SnapshotInfo } from './types.ts';

const recordName = 'snapshot.json';
const maxRecordBytes = 1 << 20;
/** Half-made and half-removed folders; no snapshot's ID starts so. */
const temporaryPrefix = '.';

export interface SnapshotRecord extends SnapshotInfo {
  /** Name of its folder. */
  readonly id: string;
  /** Nobody needs its data after a power cut. */
  readonly ephemeral: boolean;
  /** Folder of mount points it stands on, above its chain. */
  readonly init?: string | undefined;
  /** What its writable part may hold. */
  readonly sizeLimitBytes?: number | undefined;
}

/** A key that is a safe file name is its own ID; any other is hashed. */
export function snapshotID(key: string): string {
  if (/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$/.test(key)) return key;
  return `=${createHash('sha256').update(key).digest('hex')}`;
}

/**
 * The snapshots of one data root: a folder each, holding what its driver keeps and a record of what it is. Made in a
 * temporary folder and renamed, so a folder under its ID is whole; synced by {@link SnapshotRecords.persist} only.
 */
export class SnapshotRecords {
  readonly #folder: string;
  readonly #records = new Map<string, SnapshotRecord>();
  /** Where the file system is one that spreads folders. */
  #freed: FreedInodes | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<void> {
    if (await makeSpreadFolder(this.#folder, { mode: 0o700 })) this.#freed = new FreedInodes();
    for (const id of await readdir(this.#folder)) {
      if (id.startsWith(temporaryPrefix)) continue;
      const record = await this.#read(id);
      if (record) this.#records.set(id, record);
    }
  }

  async #read(id: string): Promise<SnapshotRecord | undefined> {
    try {
      const bytes = await readBounded(join(this.#folder, id, recordName), maxRecordBytes);
      if (bytes) return decodeRecord(id, bytes.toString());
      log.warn('snapshot has no record', { id });
    } catch (error) {
      log.warn('snapshot record is unreadable', { id, error });
    }
    return undefined;
  }

  /** Asked for with every inspect: `join` would look at each character again. */
  path(id: string, ...names: readonly string[]): string {
    return [this.#folder, id, ...names].join('/');
  }

  /** @throws `not-found`. */
  get(key: string): SnapshotRecord {
    const record = this.#records.get(snapshotID(key));
    if (!record) throw new EngineError('not-found', `snapshot ${key} does not exist`);
    return record;
  }

  has(key: string): boolean {
    return this.#records.has(snapshotID(key));
  }

  list(): SnapshotRecord[] {
    return [...this.#records.values()];
  }

  /** Makes a snapshot; `fill` puts what it consists of into the folder it is given. @throws `already-exists`. */
  async create(snapshot: Omit<SnapshotRecord, 'id'>, fill: (folder: string) => Promise<void>): Promise<SnapshotRecord> {
    const record = { ...snapshot, id: snapshotID(snapshot.key) };
    if (this.#records.has(record.id)) throw exists(snapshot.key);
    const temporary = await this.#newFolder();
    try {
      await fill(temporary);
      await writeFile(join(temporary, recordName), encodeRecord(record), { mode: 0o600 });
      await rename(temporary, this.path(record.id));
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      if (isErrno(error, 'ENOTEMPTY') || isErrno(error, 'EEXIST')) throw exists(snapshot.key);
      throw error;
    }
    this.#records.set(record.id, record);
    return record;
  }

  async #newFolder(): Promise<string> {
    const make = async () => {
      const path = this.#temporary('new');
      await mkdir(path, { mode: 0o700 });
      return path;
    };
    if (!this.#freed?.isAny) return await make();
    return await this.#freed.farPlace(async () => placeOf(await make()), rmdir);
  }

  /** Many files go with this folder: the next snapshots keep away from where it is. */
  async noteRemoval(folder: string): Promise<void> {
    this.#freed?.note((await placeOf(folder)).inode);
  }

  /** Its record is the last that was written before the rename: a file system that has it on the disk has the folders around it too. */
  async persist(key: string): Promise<void> {
    await using record = await open(this.path(this.get(key).id, recordName), 'r');
    await record.sync();
  }

  /** Takes a snapshot out of sight at once; answers the folder whose files are still to be removed. */
  async detach(id: string): Promise<string | undefined> {
    this.#records.delete(id);
    const temporary = this.#temporary('removed');
    try {
      await rename(this.path(id), temporary);
      return temporary;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Folders that no snapshot has: left by a crash, or unreadable and wanted by nobody. */
  async leftovers(keep: ReadonlySet<string>): Promise<string[]> {
    const keptIDs = new Set([...keep].map(snapshotID));
    const names = await readdir(this.#folder);
    return names
      .filter((name) => name.startsWith(temporaryPrefix) || !(this.#records.has(name) || keptIDs.has(name)))
      .map((name) => join(this.#folder, name));
  }

  #temporary(why: string): string {
    return join(this.#folder, `${temporaryPrefix}${why}-${randomBytes(8).toString('hex')}`);
  }
}

async function placeOf(path: string): Promise<{ path: string; inode: number }> {
  return { path, inode: (await stat(path)).ino };
}

function exists(key: string): EngineError {
  return new EngineError('already-exists', `snapshot ${key} already exists`);
}

function encodeRecord({ key, kind, chain, ephemeral, init, sizeLimitBytes }: SnapshotRecord): string {
  return JSON.stringify({ version: 1, key, kind, chain, ephemeral, init, sizeLimitBytes });
}

function decodeRecord(id: string, text: string): SnapshotRecord {
  const value = JSON.parse(text) as Partial<Record<string, unknown>> | null;
  const { version, key, kind, chain, ephemeral, init, sizeLimitBytes } = value ?? {};
  const isWhole =
    version === 1 && typeof key === 'string' && snapshotID(key) === id && Array.isArray(chain) && chain.every(isText);
  if (!isWhole || (kind !== 'active' && kind !== 'view'))
    throw new EngineError('data-loss', `read ${recordName} of ${id}: not a snapshot record`);
  const more = {
    ephemeral: ephemeral === true,
    init: isText(init) && /^[a-z0-9-]+$/.test(init) ? init : undefined,
    sizeLimitBytes: typeof sizeLimitBytes === 'number' ? sizeLimitBytes : undefined,
  };
  return { id, key, kind, chain: chain.map(parseDiffID), ...more };
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
