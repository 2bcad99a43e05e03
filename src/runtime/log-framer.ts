import { lineFeed, RecordHead } from './log-record.ts';
import { isBefore, type LogTime, logTime, TimeReader, TimeStamp } from './log-time.ts';
import type { LogQuery } from './types.ts';

/** Docker cuts longer lines: each piece is a message of its own. */
export const messageBytes = 16 * 1024;
const headerBytes = 8;
/** Docker's client reads that much at once. */
const joinedFrameBytes = 32 * 1024 - headerBytes;
const lineFeedBytes = Buffer.of(lineFeed);
const nothing = Buffer.alloc(0);
/** Short texts are copied faster byte by byte than by a call. */
const shortBytes = 24;

/** The messages of a line that has ended, of its length without the line feed. */
export const messagesOf = (lineBytes: number) => Math.trunc(lineBytes / messageBytes) + 1;

/** A line whose end has not come. */
class OpenLine {
  readonly isStderr: boolean;
  isOpen = false;
  /** That of its first piece holds for all of it. */
  time: LogTime = { seconds: 0, nanos: 0 };
  /** What waits for more; 0 also behind a message of full size. */
  sizeBytes = 0;
  /** There from the first piece on: most lines come whole. */
  bytes: Buffer = nothing;

  constructor(isStderr: boolean) {
    this.isStderr = isStderr;
  }

  append(data: Buffer, start: number, end: number): void {
    if (this.bytes.length === 0) this.bytes = Buffer.allocUnsafe(messageBytes);
    data.copy(this.bytes, this.sizeBytes, start, end);
    this.sizeBytes += end - start;
  }
}

export interface FramerOptions
  extends Pick<LogQuery, 'stdout' | 'stderr' | 'sinceNs' | 'untilNs' | 'bare' | 'timestamps' | 'joined'> {
  /** In front of every message, behind its time. */
  readonly front?: Uint8Array | undefined;
  /** So many messages at the beginning are passed over. */
  readonly skip: number;
}

/**
 * Makes Docker's messages of conmon's records, a block at a time: pieces of a line are joined, lines beyond 16 KiB cut, and each message
 * framed where it is copied to, so that what goes to a client is touched once.
 */
export class LogFramer {
  readonly #wanted: { readonly stdout: boolean; readonly stderr: boolean };
  readonly #isBare: boolean;
  readonly #since: LogTime | undefined;
  readonly #until: LogTime | undefined;
  readonly #stamp: TimeStamp | undefined;
  readonly #front: Uint8Array;
  readonly #frontBytes: number;
  /** Absent where nobody asks for times. */
  readonly #reader: TimeReader | undefined;
  readonly #head = new RecordHead();
  readonly #stdout = new OpenLine(false);
  readonly #stderr = new OpenLine(true);
  readonly #isJoined: boolean;
  /** The frame that is written to last: where its header is, which a block does not outlive. */
  #frameAt = -1;
  #toSkip: number;
  #isPast = false;
  #out: Buffer = nothing;
  #outBytes = 0;

  constructor(options: FramerOptions) {
    const {
      stdout = true,
      stderr = true,
      sinceNs,
      untilNs,
      bare = false,
      timestamps = false,
      joined = false,
      front = nothing,
    } = options;
    this.#isJoined = joined;
    this.#wanted = { stdout, stderr };
    this.#isBare = bare;
    this.#since = sinceNs === undefined ? undefined : logTime(sinceNs);
    this.#until = untilNs === undefined ? undefined : logTime(untilNs);
    this.#stamp = timestamps ? new TimeStamp() : undefined;
    this.#front = front;
    this.#frontBytes = headerBytes + front.byteLength + (timestamps ? 31 : 0);
    this.#reader = timestamps || this.#since || this.#until ? new TimeReader() : undefined;
    this.#toSkip = options.skip;
  }

  /** A message after `untilNs` has come: nothing more will. */
  get isPast(): boolean {
    return this.#isPast;
  }

  /** The messages that end in these whole lines of a log. */
  frames(data: Buffer): Buffer {
    this.#begin(data.length);
    const head = this.#head;
    for (let start = 0, end = 0; start < data.length && !this.#isPast; start = end + 1) {
      end = data.indexOf(lineFeed, start);
      if (!head.read(data, start, end)) continue;
      if (this.#reader && !this.#reader.read(data, start, head.timeEnd)) continue;
      const line = head.isStderr ? this.#stderr : this.#stdout;
      if (head.isPartial || line.isOpen || end - head.textStart >= messageBytes) this.#join(line, data, end);
      else this.#message(head.isStderr, this.#reader, data, head.textStart, end + 1);
    }
    return this.#take();
  }

  /** What has no line feed yet, when nothing more will come. */
  rest(): Buffer {
    this.#begin(this.#stdout.sizeBytes + this.#stderr.sizeBytes + 2 * this.#frontBytes);
    for (const line of [this.#stdout, this.#stderr]) if (line.sizeBytes > 0) this.#flush(line);
    return this.#take();
  }

  #begin(sizeBytes: number): void {
    this.#out = Buffer.allocUnsafe(sizeBytes);
    this.#outBytes = 0;
    this.#frameAt = -1;
  }

  #take(): Buffer {
    const taken = this.#out.subarray(0, this.#outBytes);
    this.#out = nothing;
    return taken;
  }

  /** A piece of a line, or one too long for a message. */
  #join(line: OpenLine, data: Buffer, end: number): void {
    if (!line.isOpen && this.#reader) line.time = { seconds: this.#reader.seconds, nanos: this.#reader.nanos };
    for (let start = this.#head.textStart; start < end; ) {
      const taken = Math.min(end - start, messageBytes - line.sizeBytes);
      line.append(data, start, start + taken);
      start += taken;
      if (line.sizeBytes === messageBytes) this.#flush(line);
    }
    line.isOpen = this.#head.isPartial;
    if (line.isOpen) return;
    if (line.sizeBytes === 0) this.#message(line.isStderr, line.time, lineFeedBytes, 0, 1);
    else this.#flush(line, true);
  }

  #flush(line: OpenLine, ended = false): void {
    const { sizeBytes } = line;
    line.sizeBytes = 0;
    if (ended) line.bytes[sizeBytes] = lineFeed;
    this.#message(line.isStderr, line.time, line.bytes, 0, ended ? sizeBytes + 1 : sizeBytes);
  }

  #message(isStderr: boolean, time: LogTime | undefined, data: Buffer, start: number, end: number): void {
    if (this.#toSkip > 0) {
      this.#toSkip--;
      return;
    }
    if (this.#until && isBefore(this.#until, time!)) {
      this.#isPast = true;
      return;
    }
    if (this.#since && isBefore(time!, this.#since)) return;
    if (isStderr ? this.#wanted.stderr : this.#wanted.stdout) this.#write(isStderr, time, data, start, end);
  }

  #write(isStderr: boolean, time: LogTime | undefined, data: Buffer, start: number, end: number): void {
    this.#reserve(this.#frontBytes + end - start);
    if (!this.#isBare) this.#frame(isStderr, this.#frontBytes - headerBytes + end - start);
    if (this.#stamp) this.#append(this.#stamp.of(time!));
    if (this.#front.byteLength > 0) this.#append(this.#front);
    const out = this.#out;
    if (end - start <= shortBytes) for (let at = start; at < end; at++) out[this.#outBytes++] = data[at]!;
    else this.#outBytes += data.copy(out, this.#outBytes, start, end);
  }

  #frame(isStderr: boolean, sizeBytes: number): void {
    const before = this.#frameAt;
    const joinedBytes = this.#outBytes - before - headerBytes + sizeBytes;
    if (this.#isJoined && before >= 0 && this.#out[before] === (isStderr ? 2 : 1) && joinedBytes <= joinedFrameBytes) {
      this.#writeHeader(before, isStderr, joinedBytes);
      return;
    }
    this.#frameAt = this.#outBytes;
    this.#writeHeader(this.#outBytes, isStderr, sizeBytes);
    this.#outBytes += headerBytes;
  }

  #writeHeader(at: number, isStderr: boolean, sizeBytes: number): void {
    const out = this.#out;
    out[at] = isStderr ? 2 : 1;
    out[at + 1] = out[at + 2] = out[at + 3] = 0;
    out[at + 4] = sizeBytes >>> 24;
    out[at + 5] = sizeBytes >>> 16;
    out[at + 6] = sizeBytes >>> 8;
    out[at + 7] = sizeBytes;
  }

  #append(bytes: Uint8Array): void {
    this.#out.set(bytes, this.#outBytes);
    this.#outBytes += bytes.byteLength;
  }

  #reserve(sizeBytes: number): void {
    const wanted = this.#outBytes + sizeBytes;
    if (wanted <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#out.length));
    this.#out.copy(larger, 0, 0, this.#outBytes);
    this.#out = larger;
  }
}
