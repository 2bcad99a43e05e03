import { randomBytes } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import type { OnProgress, ProgressMessage } from '#transfer';
import type { StepReport } from '../executor/index.ts';

/** Messages held for a step that has to wait for its turn; beyond it the oldest output is dropped. */
const maxHeldMessages = 20_000;

/** What is kept of a command's output for the error that it may end with. */
const tailLines = 10;
const maxTailCharacters = 4096;

interface Slot {
  readonly held: ProgressMessage[];
  dropped: number;
  closed: boolean;
  readonly decoders: Map<'stdout' | 'stderr', StringDecoder>;
  /** The end of what the command printed. */
  tail: string;
  /** Of the container, where it stays. */
  kept?: string;
}

/**
 * What dockerd's classic builder prints, in the Dockerfile's order whatever order the steps run in: the step whose turn it is prints as it goes, later
 * ones wait. Quiet builds print nothing unless they fail.
 */
export class Transcript {
  readonly #total: number;
  readonly #send: OnProgress;
  readonly #quiet: boolean;
  readonly #keepsAll: boolean;
  readonly #quieted: ProgressMessage[] = [];
  readonly #slots = new Map<number, Slot>();
  #turn = 1;

  constructor(options: {
    totalSteps: number;
    onProgress: OnProgress;
    quiet: boolean;
    keepSteps: 'failed' | 'all' | 'none';
  }) {
    this.#total = options.totalSteps;
    this.#quiet = options.quiet;
    this.#keepsAll = options.keepSteps === 'all';
    this.#send = options.onProgress;
  }

  /** Before the first step. */
  warn(text: string): void {
    this.#print({ stream: coloured(text) });
  }

  begin(step: number, text: string): void {
    this.message(step, { stream: `Step ${step}/${this.#total} : ${text}` });
    this.message(step, { stream: '\n' });
  }

  line(step: number, text: string): void {
    this.message(step, { stream: `${text}\n` });
  }

  message(step: number, message: ProgressMessage): void {
    const slot = this.#slot(step);
    if (step === this.#turn) {
      this.#print(message);
      return;
    }
    slot.held.push(message);
    if (slot.held.length <= maxHeldMessages) return;
    slot.held.splice(2, 1);
    slot.dropped++;
  }

  report(step: number, report: StepReport): void {
    if (report.kind === 'container') this.line(step, ` ---> Running in ${report.id.slice(0, 12)}`);
    else if (report.kind === 'progress') this.message(step, report.message);
    else if (report.kind === 'kept') this.#slot(step).kept = report.id;
    else if (report.kind === 'output') {
      this.#output(step, report.stream, this.#decoder(step, report.stream).write(report.data));
    } else if (report.kind === 'removed') {
      this.#flushDecoders(step);
      this.line(step, ` ---> Removed intermediate container ${report.id.slice(0, 12)}`);
    }
  }

  /** A step that only changes the configuration runs in no container, but clients are used to seeing one; not where it would have to be there afterwards. */
  pretendContainer(step: number): void {
    if (this.#keepsAll) return;
    const id = randomBytes(6).toString('hex');
    this.line(step, ` ---> Running in ${id}`);
    this.line(step, ` ---> Removed intermediate container ${id}`);
  }

  end(step: number): void {
    this.#flushDecoders(step);
    this.#slot(step).closed = true;
    while (this.#slots.get(this.#turn)?.closed) {
      this.#slots.delete(this.#turn);
      this.#turn++;
      this.#printHeld(this.#turn);
    }
  }

  /** After a failure: everything up to the step that failed, and for quiet builds what was kept quiet. */
  fail(step: number): void {
    for (; this.#turn <= step; this.#turn++) {
      this.#flushDecoders(this.#turn);
      this.#printHeld(this.#turn);
    }
    for (const message of this.#quieted.splice(0)) this.#send(message);
  }

  /** The last lines of what a step's command printed, and its container where that stays. Before `fail`. */
  remainsOf(step: number): { output: string; container?: string } {
    this.#flushDecoders(step);
    const { tail = '', kept } = this.#slots.get(step) ?? {};
    const lines = tail.replace(/\n$/, '').split('\n');
    return { output: lines.slice(-tailLines).join('\n'), ...(kept === undefined ? {} : { container: kept }) };
  }

  /** After the last step. */
  finish(messages: readonly ProgressMessage[]): void {
    for (const message of messages) this.#print(message);
  }

  #slot(step: number): Slot {
    let slot = this.#slots.get(step);
    if (!slot) this.#slots.set(step, (slot = { held: [], dropped: 0, closed: false, decoders: new Map(), tail: '' }));
    return slot;
  }

  #decoder(step: number, stream: 'stdout' | 'stderr'): StringDecoder {
    const { decoders } = this.#slot(step);
    let decoder = decoders.get(stream);
    if (!decoder) decoders.set(stream, (decoder = new StringDecoder('utf8')));
    return decoder;
  }

  #output(step: number, stream: 'stdout' | 'stderr', text: string): void {
    if (text === '') return;
    const slot = this.#slot(step);
    slot.tail = (slot.tail + text).slice(-maxTailCharacters);
    this.message(step, { stream: stream === 'stderr' ? coloured(text) : text });
  }

  #flushDecoders(step: number): void {
    const slot = this.#slots.get(step);
    if (!slot) return;
    for (const [stream, decoder] of slot.decoders) this.#output(step, stream, decoder.end());
    slot.decoders.clear();
  }

  #printHeld(step: number): void {
    const slot = this.#slots.get(step);
    if (!slot) return;
    if (slot.dropped > 0) this.#print({ stream: `[${slot.dropped} earlier lines of output are not shown]\n` });
    for (const message of slot.held.splice(0)) this.#print(message);
  }

  #print(message: ProgressMessage): void {
    if (!this.#quiet) {
      this.#send(message);
      return;
    }
    this.#quieted.push(message);
    if (this.#quieted.length > maxHeldMessages) this.#quieted.shift();
  }
}

/** What a step writes to its standard error is bright red. */
function coloured(text: string): string {
  return `\u001b[91m${text}\u001b[0m`;
}
