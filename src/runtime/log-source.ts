import type { FileHandle } from 'node:fs/promises';
import { openLogFiles } from './log-files.ts';
import { LogLines } from './log-lines.ts';
import { findTail } from './log-tail.ts';
import type { LogPlace } from './types.ts';

/** The files of a log, one after the other. conmon writes nothing to one once there is a newer one. */
export class LogSource {
  readonly #path: string;
  /** The one that is read is the first; all are open, so that no rotation takes them away. */
  readonly #files: FileHandle[];
  #lines: LogLines;

  private constructor(path: string, files: FileHandle[]) {
    this.#path = path;
    this.#files = files;
    this.#lines = new LogLines(files[0]!, 0);
  }

  /** Undefined when nothing was ever logged. */
  static async open(path: string): Promise<LogSource | undefined> {
    const files = await openLogFiles(path);
    return files.length === 0 ? undefined : new LogSource(path, files);
  }

  /** Goes to where the last `count` messages are the next, but for as many as it returns. */
  async seekToTail(count: number, unfinished: boolean): Promise<number> {
    const { file, offset, skip } = await findTail(this.#files, count, unfinished);
    for (const older of this.#files.splice(0, file)) await older.close();
    this.#lines = new LogLines(this.#files[0]!, offset);
    return skip;
  }

  /** Goes to a place that {@link place} told once; false, and nothing changes, when it is not there any more. */
  async seekTo(place: LogPlace): Promise<boolean> {
    for (const [index, file] of this.#files.entries()) {
      if ((await nameOf(file)) !== place.file || (await file.stat()).size < place.offset) continue;
      for (const older of this.#files.splice(0, index)) await older.close();
      this.#lines = new LogLines(file, place.offset);
      return true;
    }
    return false;
  }

  /** Where what {@link rest} has given ends. */
  async place(): Promise<LogPlace> {
    return { file: await nameOf(this.#files[0]!), offset: this.#lines.offset };
  }

  /** Whole lines that are there now, block by block; each to be used before the next is asked for. */
  async *rest(): AsyncGenerator<Buffer> {
    while (true) {
      const lines = await this.#lines.next();
      if (lines.length > 0) yield lines;
      else if (await this.#lines.atEnd()) {
        if (this.#files.length === 1) return;
        await this.#nextFile();
      }
    }
  }

  async #nextFile(): Promise<void> {
    await this.#files.shift()!.close();
    this.#lines = new LogLines(this.#files[0]!, 0);
  }

  /** To be asked at the end of what there was: whether the log goes on in newer files. What came to the old one before them is read first. */
  async findNewer(): Promise<boolean> {
    const newer = await openLogFiles(this.#path, this.#files.at(-1)!);
    this.#files.push(...newer);
    return newer.length > 0;
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}

/** A file by what stays when it is renamed; its time of birth tells it from a later one with its number. */
async function nameOf(file: FileHandle): Promise<string> {
  const { ino, birthtimeNs } = await file.stat({ bigint: true });
  return `${ino}:${birthtimeNs}`;
}
