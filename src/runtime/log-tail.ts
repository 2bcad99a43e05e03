import type { FileHandle } from 'node:fs/promises';
import { messageBytes, messagesOf } from './log-framer.ts';
import { lineFeed, RecordHead } from './log-record.ts';

const blockBytes = 64 * 1024;
/** How far back it is looked for a place where no line of either stream is in the middle. */
const slackBytes = 256 * 1024;
const nothing = Buffer.alloc(0);

/** Where reading begins, so that `skip` messages later the wanted ones follow. */
export interface TailStart {
  /** Index of the file. */
  readonly file: number;
  readonly offset: number;
  readonly skip: number;
}

/**
 * Where the last `wanted` messages of a log begin, found from its end backwards.
 * @param unfinished whether what has no line feed yet is a message
 */
export async function findTail(files: readonly FileHandle[], wanted: number, unfinished: boolean): Promise<TailStart> {
  const walk = new TailWalk(wanted, unfinished);
  for (let file = files.length - 1; file >= 0; file--) {
    const found = await walkBack(files[file]!, file, walk);
    if (found) return found;
  }
  return walk.atStart();
}

async function walkBack(file: FileHandle, index: number, walk: TailWalk): Promise<TailStart | undefined> {
  let end = (await file.stat()).size;
  let later: Buffer = nothing;
  let isLast = true;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const block = Buffer.allocUnsafe(end - start);
    await file.read(block, 0, block.length, start);
    let data = later.length > 0 ? Buffer.concat([block, later]) : block;
    if (isLast) {
      const lastFeed = data.lastIndexOf(lineFeed);
      // A record in the making is none yet.
      if (lastFeed >= 0) data = data.subarray(0, lastFeed + 1);
      isLast = lastFeed < 0;
    }
    // What the block begins with may have begun before it.
    const from = start === 0 || isLast ? 0 : data.indexOf(lineFeed) + 1;
    if (!isLast) {
      const found = walk.block(data.subarray(from), { file: index, offset: start + from });
      if (found) return found;
    }
    later = data.subarray(0, isLast ? data.length : from);
    end = start;
  }
  return undefined;
}

/** A line that is walked through backwards. */
class WalkedLine {
  #sizeBytes = 0;
  #isEnded = false;
  #isOpen = false;

  messages(unfinished: boolean): number {
    if (!this.#isOpen) return 0;
    if (this.#isEnded) return messagesOf(this.#sizeBytes);
    return (unfinished ? Math.ceil : Math.trunc)(this.#sizeBytes / messageBytes);
  }

  add(sizeBytes: number): void {
    this.#isOpen = true;
    this.#sizeBytes += sizeBytes;
  }

  /** Goes on with the line before it, which has ended. */
  before(): void {
    this.#sizeBytes = 0;
    this.#isEnded = true;
  }
}

interface Candidate extends TailStart {
  /** The stream whose record before this place must be the end of a line. */
  readonly waitsForStderr: boolean;
}

/** Records are walked from the last to the first. A place to begin is one where both streams are between two lines. */
class TailWalk {
  readonly #wanted: number;
  readonly #unfinished: boolean;
  readonly #head = new RecordHead();
  readonly #stdout = new WalkedLine();
  readonly #stderr = new WalkedLine();
  #messages = 0;
  #candidate: Candidate | undefined;
  #walkedSinceBytes = 0;

  constructor(wanted: number, unfinished: boolean) {
    this.#wanted = wanted;
    this.#unfinished = unfinished;
  }

  block(data: Buffer, place: { file: number; offset: number }): TailStart | undefined {
    for (let end = data.length - 1; end >= 0; ) {
      const start = end === 0 ? 0 : data.lastIndexOf(lineFeed, end - 1) + 1;
      const behind = { file: place.file, offset: place.offset + end + 1 };
      const found = this.#head.read(data, start, end) && this.#record(end - this.#head.textStart, behind);
      if (found) return found;
      if (this.#candidate) this.#walkedSinceBytes += end + 1 - start;
      if (this.#walkedSinceBytes > slackBytes) return this.#candidate;
      end = start - 1;
    }
    return undefined;
  }

  /** Everything was walked through. */
  atStart(): TailStart {
    if (this.#candidate) return this.#candidate;
    const all = this.#messages + this.#open(this.#stdout) + this.#open(this.#stderr);
    return { file: 0, offset: 0, skip: Math.max(0, all - this.#wanted) };
  }

  #record(textBytes: number, behind: { file: number; offset: number }): TailStart | undefined {
    const { isStderr, isPartial } = this.#head;
    const [own, other] = isStderr ? [this.#stderr, this.#stdout] : [this.#stdout, this.#stderr];
    if (this.#candidate?.waitsForStderr === isStderr) {
      if (!isPartial) return this.#candidate;
      this.#candidate = undefined;
      this.#walkedSinceBytes = 0;
    }
    if (!isPartial) {
      this.#messages += this.#open(own);
      own.before();
      const skip = this.#messages + this.#open(other) - this.#wanted;
      if (skip >= 0) this.#candidate ??= { ...behind, skip, waitsForStderr: !isStderr };
    }
    own.add(textBytes);
    return undefined;
  }

  #open(line: WalkedLine): number {
    return line.messages(this.#unfinished);
  }
}
