import { mkdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { readBounded, writeAtomic } from '#files';
import type { Descriptor } from '#oci';
import { formatReference, type Reference } from '#reference';
import type { IndexPart } from '#remote';
import { configPath, type Environment } from './credentials/index.ts';

const maxDraftBytes = 4 << 20;

/** An entry of a list that is being put together, and the name it was added by. */
export interface DraftEntry {
  readonly name: string;
  readonly descriptor: Descriptor;
  readonly from: Reference;
}

/** A manifest list that was created and not pushed yet; it is kept beside `config.json`. */
export class Draft {
  readonly #path: string;
  readonly entries: readonly DraftEntry[];

  private constructor(path: string, entries: readonly DraftEntry[]) {
    this.#path = path;
    this.entries = entries;
  }

  /** `undefined` when there is none of that name. */
  static async read(list: Reference, environment: Environment): Promise<Draft | undefined> {
    const path = pathOf(list, environment);
    const bytes = await readBounded(path, maxDraftBytes);
    if (!bytes) return undefined;
    try {
      return new Draft(path, JSON.parse(bytes.toString('utf8')) as DraftEntry[]);
    } catch (cause) {
      throw new EngineError('data-loss', `${path}: not JSON`, { cause });
    }
  }

  static async write(list: Reference, environment: Environment, entries: readonly DraftEntry[]): Promise<void> {
    const path = pathOf(list, environment);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeAtomic(path, `${JSON.stringify(entries, undefined, 2)}\n`);
  }

  get parts(): readonly IndexPart[] {
    return this.entries.map(({ descriptor, from }) => ({ descriptor, from }));
  }

  async remove(): Promise<void> {
    try {
      await unlink(this.#path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

/** One file per list; its name is the reference, escaped. */
function pathOf(list: Reference, environment: Environment): string {
  return join(
    dirname(configPath(environment)),
    'wherry-manifests',
    `${encodeURIComponent(formatReference(list))}.json`,
  );
}
