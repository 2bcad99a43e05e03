import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import type { MakeRoom } from '#files';
import { log } from '#log';
import type { FilePart } from '#streams';
import type { Follower, Following } from './digest-protocol.ts';
import {
  type Digested,
  type FromWorker,
  type Insert,
  maxInsertedBytes,
  minLentBytes,
  roomAnswers,
  type StartMessage,
  slotBytes,
  slotCount,
  type ToWorker,
} from './protocol.ts';

/** Entries of a layer live as long as the layer's work, or not at all: more room for the young would only be memory. */
const maxYoungGenerationSizeMb = 12;

export type JobOptions = Omit<StartMessage, 'type' | 'job' | 'ring' | 'room' | 'bell'>;

/** A worker thread with its ring of slots; runs one {@link IngestJob} at a time. */
export class IngestThread {
  readonly #worker: Worker;
  readonly #ring = new SharedArrayBuffer(slotBytes * slotCount);
  #job: IngestJob | undefined;
  #jobs = 0;
  #dead = false;

  constructor() {
    this.#worker = new Worker(workerEntry(import.meta.url, './ingest.worker.ts'), {
      resourceLimits: { maxYoungGenerationSizeMb },
    });
    this.#worker.on('message', (message: FromWorker) => this.#job?.receive(message));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', () => this.#end(new Error('the thread ended')));
    this.#worker.unref();
  }

  get isDead(): boolean {
    return this.#dead;
  }

  begin(options: JobOptions, { makeRoom, digests }: Pick<JobLinks, 'makeRoom' | 'digests'>): IngestJob {
    const job = ++this.#jobs;
    this.#worker.ref();
    const send = (message: ToWorker) => this.#worker.postMessage(message);
    const room = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    this.#job = new IngestJob(job, this.#ring, { send, room, makeRoom, digests });
    send({ type: 'start', job, ring: this.#ring, room, bell: digests.bell, ...options });
    return this.#job;
  }

  /** The job has answered `closed`, or the thread is dead. */
  release(): void {
    this.#job = undefined;
    if (!this.#dead) this.#worker.unref();
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #end(cause: unknown): void {
    this.#dead = true;
    this.#job?.die(new EngineError('internal', 'ingest layer: the worker thread ended', { cause }));
  }
}

interface JobLinks {
  readonly send: (message: ToWorker) => void;
  readonly room: SharedArrayBuffer;
  readonly makeRoom: MakeRoom;
  /** Who hashes what the thread writes. */
  readonly digests: Follower;
}

/** One layer on its way through a thread, seen from the main thread. */
export class IngestJob {
  readonly #job: number;
  readonly #ring: Buffer;
  readonly #send: (message: ToWorker) => void;
  readonly #room: Int32Array<SharedArrayBuffer>;
  readonly #makeRoom: MakeRoom;
  readonly #digests: Follower;
  readonly #free: number[] = Array.from({ length: slotCount }, (_, slot) => slot);
  #waiting: (() => void)[] = [];
  #failure: Error | undefined;
  #digested: Digested | undefined;
  #closed = false;
  #lent = false;
  #filling: number | undefined;
  #filledBytes = 0;
  #inserts: Insert[] = [];
  #insertedBytes = 0;
  writtenBytes = 0;

  constructor(job: number, ring: SharedArrayBuffer, { send, room, makeRoom, digests }: JobLinks) {
    this.#job = job;
    this.#ring = Buffer.from(ring);
    this.#send = send;
    this.#room = new Int32Array(room);
    this.#makeRoom = makeRoom;
    this.#digests = digests;
  }

  /**
   * Copies the bytes into slots, or has the thread take them from where they are; waits while all slots are in use, or until the bytes are taken, and answers
   * nothing where it does not. @throws what the worker found wrong.
   */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (chunk.byteLength >= minLentBytes && chunk.buffer instanceof SharedArrayBuffer)
      return this.#lend(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#filling === undefined || chunk.byteLength >= slotBytes - this.#filledBytes) return this.#writeLong(chunk);
    this.#ring.set(chunk, this.#filling * slotBytes + this.#filledBytes);
    this.#filledBytes += chunk.byteLength;
    return undefined;
  }

  async #lend(memory: SharedArrayBuffer, offset: number, lengthBytes: number): Promise<void> {
    if (this.#filling !== undefined) this.#flush();
    this.#lent = true;
    this.#send({ type: 'lent', job: this.#job, memory, offset, lengthBytes });
    await this.#until(() => !this.#lent);
  }

  async #writeLong(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.byteLength; ) {
      this.#filling ??= await this.#nextFree();
      const room = Math.min(slotBytes - this.#filledBytes, chunk.byteLength - done);
      this.#ring.set(chunk.subarray(done, done + room), this.#filling * slotBytes + this.#filledBytes);
      this.#filledBytes += room;
      done += room;
      if (this.#filledBytes === slotBytes) this.#flush();
    }
  }

  /** Bytes that the thread reads itself: the file has to be open until the job is over. */
  writeFrom(part: FilePart): Promise<void> | undefined {
    const { fd, offset, lengthBytes } = part;
    if (this.#filling === undefined || lengthBytes >= maxInsertedBytes - this.#insertedBytes)
      return this.#writeLongFrom(part);
    this.#inserts.push({ at: this.#filledBytes, fd, offset, lengthBytes });
    this.#insertedBytes += lengthBytes;
    return undefined;
  }

  async #writeLongFrom({ fd, offset, lengthBytes }: FilePart): Promise<void> {
    for (let done = 0; done < lengthBytes; ) {
      this.#filling ??= await this.#nextFree();
      const room = Math.min(maxInsertedBytes - this.#insertedBytes, lengthBytes - done);
      this.#inserts.push({ at: this.#filledBytes, fd, offset: offset + done, lengthBytes: room });
      this.#insertedBytes += room;
      done += room;
      if (this.#insertedBytes === maxInsertedBytes) this.#flush();
    }
  }

  async end(): Promise<Digested> {
    if (this.#filling !== undefined) this.#flush();
    this.#send({ type: 'end', job: this.#job });
    await this.#until(() => this.#digested !== undefined);
    return this.#digested!;
  }

  /** Ends the job, with an index or without. */
  async index(path: string | undefined): Promise<void> {
    this.#send({ type: 'index', job: this.#job, path });
    await this.#until(() => this.#closed);
  }

  /** Makes the worker let go of its files. Never throws. */
  async abort(): Promise<void> {
    if (this.#closed) return;
    this.#send({ type: 'abort', job: this.#job });
    while (!this.#closed) await this.#woken();
  }

  receive(message: FromWorker): void {
    if (message.job !== this.#job) return;
    if (message.type === 'free') {
      this.#free.push(message.slot);
      this.writtenBytes = message.writtenBytes;
    } else if (message.type === 'taken') {
      this.#lent = false;
      this.writtenBytes = message.writtenBytes;
    } else if (message.type === 'digested') this.#digested = message;
    else if (message.type === 'closed') this.#closed = true;
    else if (message.type === 'short') void this.#answerShort();
    else if (message.type === 'follow') void this.#follow(message.following);
    else this.#failure ??= new EngineError(message.kind, message.message);
    this.#wake();
  }

  async #follow(following: Following): Promise<void> {
    const finding = await this.#digests.follow(following);
    this.#send({ type: 'found', job: this.#job, finding });
  }

  /** The thread waits: it is answered whatever happens. */
  async #answerShort(): Promise<void> {
    const made = await this.#makeRoom().catch((error: unknown) => {
      log.warn('ingest layer: could not make room', { error });
      return false;
    });
    Atomics.store(this.#room, 0, made ? roomAnswers.made : roomAnswers.none);
    Atomics.notify(this.#room, 0);
  }

  die(error: Error): void {
    this.#failure ??= error;
    this.#closed = true;
    this.#wake();
  }

  #flush(): void {
    const [slot, lengthBytes, inserts] = [this.#filling!, this.#filledBytes, this.#inserts];
    this.#send({ type: 'slot', job: this.#job, slot, lengthBytes, inserts });
    this.#filling = undefined;
    this.#filledBytes = 0;
    this.#inserts = [];
    this.#insertedBytes = 0;
  }

  async #nextFree(): Promise<number> {
    await this.#until(() => this.#free.length > 0);
    return this.#free.shift()!;
  }

  async #until(reached: () => boolean): Promise<void> {
    while (true) {
      if (this.#failure) throw this.#failure;
      if (reached()) return;
      if (this.#closed) throw new EngineError('canceled', 'ingest layer: aborted');
      await this.#woken();
    }
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
