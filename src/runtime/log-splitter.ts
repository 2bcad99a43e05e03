import { messageBytes } from './log-framer.ts';
import { lineFeed, RecordHead } from './log-record.ts';
import { type LogTime, TimeReader } from './log-time.ts';
import type { LogMark, LogMessage, LogPlace } from './types.ts';

const nothing = Buffer.alloc(0);

/** A line of one stream whose end has not come. */
interface OpenLine {
  readonly isStderr: boolean;
  isOpen: boolean;
  time: LogTime;
  name: string;
  /** Pieces given so far. */
  pieces: number;
  bytes: Buffer;
}

const openLine = (isStderr: boolean): OpenLine => ({
  isStderr,
  isOpen: false,
  time: { seconds: 0, nanos: 0 },
  name: '',
  pieces: 0,
  bytes: nothing,
});

/**
 * Makes messages of conmon's records one by one, each with the mark from which a later reader makes the next one. A mark is a place
 * where no line was open, and a count: the same records from there make the same messages.
 */
export class LogSplitter {
  readonly #head = new RecordHead();
  readonly #reader = new TimeReader();
  readonly #lines = [openLine(false), openLine(true)] as const;
  #base: LogPlace;
  #taken = 0;
  #toSkip: number;

  constructor(from: LogMark) {
    this.#base = from;
    this.#toSkip = from.taken;
  }

  /** The messages that end in these whole lines, which begin at a place of the log. */
  *messages(data: Buffer, place: LogPlace): Generator<LogMessage> {
    for (let start = 0, end = 0; start < data.length; start = end + 1) {
      end = data.indexOf(lineFeed, start);
      const line = this.#record(data, start, end, place);
      const next = { file: place.file, offset: place.offset + end + 1 };
      const texts = line === undefined ? [] : this.#texts(line, data.subarray(this.#head.textStart, end));
      if (line) line.isOpen = this.#head.isPartial;
      yield* this.#given(line, texts, next);
    }
  }

  /** What has no line feed when nothing more will come, at the end of the log. */
  *rest(end: LogPlace): Generator<LogMessage> {
    for (const line of this.#lines) {
      const texts = line.isOpen && line.bytes.length > 0 ? [line.bytes] : [];
      line.bytes = nothing;
      line.isOpen = false;
      yield* this.#given(line, texts, end);
    }
  }

  #record(data: Buffer, start: number, end: number, place: LogPlace): OpenLine | undefined {
    if (!this.#head.read(data, start, end) || !this.#reader.read(data, start, this.#head.timeEnd)) return undefined;
    const line = this.#lines[this.#head.isStderr ? 1 : 0];
    if (!line.isOpen) {
      line.time = { seconds: this.#reader.seconds, nanos: this.#reader.nanos };
      line.name = `${place.file}:${place.offset + start}`;
      line.pieces = 0;
    }
    return line;
  }

  /** Whole pieces of the line, and its rest when it ends here. */
  #texts(line: OpenLine, text: Buffer): Buffer[] {
    const bytes = line.bytes.length === 0 ? text : Buffer.concat([line.bytes, text]);
    const texts: Buffer[] = [];
    let at = 0;
    for (; bytes.length - at >= messageBytes; at += messageBytes) texts.push(bytes.subarray(at, at + messageBytes));
    const rest = bytes.subarray(at);
    if (!this.#head.isPartial) texts.push(rest);
    line.bytes = this.#head.isPartial ? Buffer.from(rest) : nothing;
    return texts;
  }

  *#given(line: OpenLine | undefined, texts: readonly Buffer[], next: LogPlace): Generator<LogMessage> {
    const isClosed = this.#lines.every(({ isOpen }) => !isOpen);
    for (const [index, text] of texts.entries()) {
      const isLast = index === texts.length - 1;
      this.#taken++;
      if (isLast && isClosed) this.#moveTo(next);
      const message = messageOf(line!, text, isLast && !line!.isOpen, { ...this.#base, taken: this.#taken });
      if (this.#toSkip > 0) this.#toSkip--;
      else yield message;
    }
    if (isClosed) this.#moveTo(next);
  }

  #moveTo(place: LogPlace): void {
    this.#base = place;
    this.#taken = 0;
  }
}

function messageOf(line: OpenLine, text: Buffer, isLast: boolean, mark: LogMark): LogMessage {
  line.pieces++;
  const isWhole = line.pieces === 1 && isLast;
  return {
    isStderr: line.isStderr,
    time: line.time,
    text,
    ...(isWhole ? {} : { part: { line: line.name, ordinal: line.pieces, isLast } }),
    mark,
  };
}
