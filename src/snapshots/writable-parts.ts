import { Disks } from './disks.ts';
import type { SnapshotRecord, SnapshotRecords } from './records.ts';
import type { Attributes } from './tree.ts';
import type { Upper } from './upper.ts';
import { makeWritable, upperOf, type Writable, type WritableFolders, writableIn } from './writable-folders.ts';

/** Where snapshots keep what is written to them: in their folders, or on disks of their own where their size is limited. */
export class WritableParts {
  readonly #records: SnapshotRecords;
  readonly #disks: Disks;
  readonly #form: Upper['form'];

  constructor(records: SnapshotRecords, disksFolder: string, form: Upper['form']) {
    this.#records = records;
    this.#disks = new Disks(disksFolder);
    this.#form = form;
  }

  async load(): Promise<void> {
    await this.#disks.load();
  }

  async make(folder: string, sizeLimitBytes: number | undefined, root: Attributes): Promise<void> {
    const fill = (target: string) => makeWritable(target, root);
    await (sizeLimitBytes === undefined ? fill(folder) : this.#disks.make(folder, sizeLimitBytes, fill));
  }

  async persist({ id, sizeLimitBytes }: SnapshotRecord): Promise<void> {
    if (sizeLimitBytes !== undefined) await this.#disks.persist(this.#records.path(id));
  }

  /** There until disposed. */
  async hold(record: SnapshotRecord): Promise<Writable> {
    const folders = this.folders(record);
    if (record.sizeLimitBytes === undefined) return { ...folders, [Symbol.asyncDispose]: async () => {} };
    const disk = await this.#disks.hold(record.id, this.#records.path(record.id));
    return { ...folders, [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose]() };
  }

  folders({ id, sizeLimitBytes }: SnapshotRecord): WritableFolders {
    return writableIn(sizeLimitBytes === undefined ? this.#records.path(id) : this.#disks.path(id));
  }

  upper(writable: WritableFolders): Upper {
    return upperOf(writable, this.#form);
  }

  remove(id: string): Promise<void> {
    return this.#disks.remove(id);
  }

  recover(keep: ReadonlySet<string>): Promise<void> {
    return this.#disks.recover(keep);
  }
}
