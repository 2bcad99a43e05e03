import { EngineError } from '#errdefs';
import { type RecordReader, sys } from '#sys';

const pipeBytes = 16 * 1024;
const limitBytes = 64 * 1024;

/** One line conmon reports: `data` is a pid, an exit code or, negative, a failure that `message` explains. */
export interface SyncMessage {
  readonly data: number;
  readonly message?: string;
}

/**
 * Reads what conmon reports over the pipe it was started with. The same pipe is its standard error, so when conmon ends
 * early its own words are known. End of the pipe is the end of conmon: that is how waiting never outlasts it.
 */
export class SyncPipe {
  readonly #reader: RecordReader;
  readonly #messages: SyncMessage[] = [];
  readonly #waiting: ((message: SyncMessage | undefined) => void)[] = [];
  #pending = '';
  #words = '';
  #ended = false;

  /** Takes over `fd`, the reading end. */
  constructor(fd: number) {
    this.#reader = sys.readRecords(
      fd,
      pipeBytes,
      (record) => this.#take(record),
      () => this.#end(),
    );
    sys.close(fd);
  }

  /** Whether conmon is known to have ended. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  /** What came that was no report: conmon's complaints. */
  get words(): string {
    return this.#words + this.#pending;
  }

  /** The next report; undefined when conmon has ended without another. */
  next(): Promise<SyncMessage | undefined> {
    const message = this.#messages.shift();
    if (message !== undefined || this.#ended) return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** As {@link next}, bounded. @throws `deadline-exceeded`, or the signal's reason. */
  async nextWithin(timeoutMs: number, signal?: AbortSignal): Promise<SyncMessage | undefined> {
    signal?.throwIfAborted();
    let stop = () => {};
    const ended = new Promise<never>((_resolve, reject) => {
      const onAbort = () => reject(signal?.reason);
      const timer = setTimeout(() => {
        reject(new EngineError('deadline-exceeded', `start container process: no answer in ${timeoutMs} ms`));
      }, timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      stop = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
    });
    try {
      return await Promise.race([this.next(), ended]);
    } finally {
      stop();
    }
  }

  /** Does not keep the process alive for what is still to come. */
  unref(): void {
    this.#reader.unref();
  }

  close(): void {
    this.#reader.stop();
    this.#end();
  }

  #take(record: Buffer): void {
    if (record.length === 0) {
      this.#end();
      return;
    }
    const lines = (this.#pending + record.toString()).split('\n');
    this.#pending = lines.pop()!.slice(0, limitBytes);
    for (const line of lines) this.#takeLine(line);
  }

  #takeLine(line: string): void {
    const message = parseMessage(line);
    if (message === undefined) this.#words = `${this.#words}${line}\n`.slice(-limitBytes);
    else if (this.#waiting.length > 0) this.#waiting.shift()!(message);
    else this.#messages.push(message);
  }

  #end(): void {
    this.#ended = true;
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
  }
}

/** conmon escapes most control characters, not all: a line that is no JSON still tells its number. */
export function parseMessage(line: string): SyncMessage | undefined {
  const head = /^\{"(?:data|pid|exit_code)": (-?\d+)(?:, "message": "(.*)")?\}$/s.exec(line);
  if (!head) return undefined;
  const data = Number(head[1]);
  return head[2] === undefined ? { data } : { data, message: unescapeText(head[2]) };
}

function unescapeText(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_whole, code?: string, plain?: string) => {
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    return plain === 'n' ? '\n' : plain === 't' ? '\t' : (plain ?? '');
  });
}
