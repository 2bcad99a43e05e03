import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { isErrno } from '#errdefs';
import { writeAtomic } from '#files';
import { log } from '#log';
import { componentLines, type FileComponent } from './executor/index.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export interface FileListLimits {
  readonly lists: number;
  readonly bytes: number;
}

const standard: FileListLimits = { lists: 500, bytes: 256 << 20 };
/** Four million files: what a context may have. */
const maxTextBytes = 1 << 30;

/**
 * The files that large copies were made of, for explanations: too many to be kept in a cache record, so each list is a compressed file named after its
 * digest, which the record has. One that is lost costs an explanation its names, nothing else: nothing here is synced, and nothing fails.
 */
export class FileLists {
  readonly #folder: string;
  readonly #limits: FileListLimits;

  constructor(folder: string, limits: Partial<FileListLimits> = {}) {
    this.#folder = folder;
    this.#limits = { ...standard, ...limits };
  }

  async keep(content: string, files: readonly FileComponent[]): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 };
      const bytes = await compress(componentLines(files).join(''), { params });
      await writeAtomic(join(this.#folder, content), bytes, { durable: false });
      await this.#trim();
    } catch (error) {
      log.warn('could not keep the files of a build step', { error });
    }
  }

  /** The lines of a list, as {@link componentLines} has them but without their newlines; undefined when it is not there, or not whole. */
  async find(content: string): Promise<readonly string[] | undefined> {
    try {
      const path = join(this.#folder, content);
      const text = (await decompress(await readFile(path), { maxOutputLength: maxTextBytes })).toString();
      const now = new Date();
      await utimes(path, now, now);
      return text.split('\n').slice(0, -1);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) log.warn('could not read the files of a build step', { error });
      return undefined;
    }
  }

  /** Removes every other list. */
  async keepOnly(contents: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#names()) {
      if (!contents.has(name)) await rm(join(this.#folder, name), { force: true });
    }
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }

  /** The ones asked for longest ago go first. */
  async #trim(): Promise<void> {
    const facts = async (name: string) => {
      try {
        const { size, mtimeMs } = await stat(join(this.#folder, name));
        return { name, size, mtimeMs };
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return { name, size: 0, mtimeMs: 0 };
        throw error;
      }
    };
    const lists = await Promise.all((await this.#names()).map(facts));
    lists.sort((a, b) => b.mtimeMs - a.mtimeMs);
    let bytes = 0;
    for (const [index, { name, size }] of lists.entries()) {
      bytes += size;
      if (index < this.#limits.lists && bytes <= this.#limits.bytes) continue;
      await rm(join(this.#folder, name), { force: true });
    }
  }
}
