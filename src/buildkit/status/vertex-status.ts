import { type Timestamp, timestampNow } from '@bufbuild/protobuf/wkt';
import type { BuildWarning } from '#api-types';
import { type BuildStatus, definitionVertex, failureText, type ShownVertex } from '#builder';
import { isKind } from '#errdefs';
import type { OnProgress, ProgressMessage } from '#transfer';
import type { StatusFeed } from './feed.ts';
import { Loading } from './loading.ts';

/** Of the checks of a Dockerfile: below errors. */
const warningLevel = 1n;

/** How often a count is told of, as clients draw it. */
const countEveryMs = 100;

interface Vertex extends ShownVertex {
  cached: boolean;
  started?: Timestamp;
  completed?: Timestamp;
  error?: string;
}

interface PartState {
  readonly name?: string;
  readonly current?: number;
  readonly total?: number;
  readonly done?: boolean;
}

interface Part {
  readonly started: Timestamp;
  readonly name: string;
  readonly isOver: boolean;
  /** What it counts when it is complete. */
  readonly end: { readonly current: number; readonly total: number };
}

/** Tells the vertexes of a build to a feed, each with its whole state at every change, as clients want it. */
export class VertexStatus {
  readonly #feed: StatusFeed;
  readonly #vertexes = new Map<string, Vertex>();
  /** By vertex and its own ID. */
  readonly #parts = new Map<string, Part>();
  /** By vertex. */
  readonly #loadings = new Map<string, Loading>();
  #warnings = 0;

  constructor(feed: StatusFeed) {
    this.#feed = feed;
  }

  /** For the builder to tell. */
  readonly on = (status: BuildStatus): void => {
    this.#apply(status);
    this.#showLoadings(status);
  };

  /** Files that come before it is known whether a step reads them: shown once the builder tells of their vertex. */
  later(vertex: ShownVertex, label: string): Loading {
    const loading = new Loading(this, vertex, label);
    this.#loadings.set(vertex.digest, loading);
    return loading;
  }

  #apply(status: BuildStatus): void {
    switch (status.kind) {
      case 'vertexes':
        this.#declare(status.vertexes);
        break;
      case 'started':
        this.started(status.digest);
        break;
      case 'cached':
        this.#update(status.digest, { cached: true });
        break;
      case 'done':
        this.done(status.digest);
        break;
      case 'failed':
        this.failed(status.digest, status.error);
        break;
      case 'output':
        this.#log(status.digest, status.stream === 'stderr' ? 2n : 1n, status.data);
        break;
      case 'progress':
        this.#progress(status.digest, status.message);
        break;
      case 'warnings':
        for (const warning of status.warnings) this.#warn(warning, status.source);
        break;
      default:
        status satisfies never;
    }
  }

  /** What a step reads of the context has come when the step is done. */
  #showLoadings(status: BuildStatus): void {
    if (status.kind === 'vertexes') for (const { digest } of status.vertexes) this.#loadings.get(digest)?.show();
    if (status.kind !== 'done') return;
    for (const input of this.#vertexes.get(status.digest)?.inputs ?? []) this.#loadings.get(input)?.end();
  }

  /** Work that is a vertex of its own, from here to its end. */
  async during<T>(vertex: ShownVertex, work: () => Promise<T>): Promise<T> {
    this.#declare([vertex]);
    this.started(vertex.digest);
    try {
      const result = await work();
      this.done(vertex.digest);
      return result;
    } catch (error) {
      this.failed(vertex.digest, error);
      throw error;
    }
  }

  /** A part of a vertex, such as a layer on its way; again with what became of it. */
  part(digest: string, id: string, now: PartState = {}): void {
    const { name = '', current = 0, total = 0, done: isOver = false } = now;
    const timestamp = timestampNow();
    const key = `${digest} ${id}`;
    const started = this.#parts.get(key)?.started ?? timestamp;
    this.#parts.set(key, { started, name, isOver, end: { current: name === 'extract' ? current : total, total } });
    const counts = { current: BigInt(current), total: BigInt(total) };
    const completed = isOver ? { completed: timestamp } : {};
    this.#feed.publish({ statuses: [{ id, vertex: digest, name, ...counts, timestamp, started, ...completed }] });
  }

  /** Work that is a part of a vertex. */
  async duringPart<T>(digest: string, id: string, work: () => Promise<T>): Promise<T> {
    this.part(digest, id);
    const result = await work();
    this.part(digest, id, { done: true });
    return result;
  }

  /** A part that counts bytes. */
  counted(digest: string, id: string): { add(bytes: number): void; end(): void } {
    let current = 0;
    let toldAt = 0;
    const tell = (done: boolean) => this.part(digest, id, { name: 'transferring', current, done });
    tell(false);
    return {
      add: (bytes) => {
        current += bytes;
        if (performance.now() - toldAt < countEveryMs) return;
        toldAt = performance.now();
        tell(false);
      },
      end: () => tell(true),
    };
  }

  /** For transfers whose layers are parts of a vertex. */
  progressOf(digest: string): OnProgress {
    return (message) => this.#progress(digest, message);
  }

  begin(vertex: ShownVertex, started: Timestamp): void {
    this.#declare([vertex]);
    this.started(vertex.digest, started);
  }

  started(digest: string, started = timestampNow()): void {
    if (!this.#vertexes.get(digest)?.started) this.#update(digest, { started });
  }

  done(digest: string, completed = timestampNow()): void {
    if (!this.#vertexes.get(digest)?.completed) this.#update(digest, { completed });
  }

  failed(digest: string, error: unknown): void {
    const isCanceled = isKind(error, 'canceled');
    const text = isCanceled ? 'context canceled' : failureText(error);
    this.#update(digest, { completed: timestampNow(), error: text });
  }

  /** For those who look at builds from outside. */
  counts(): { steps: number; completed: number; cached: number; warnings: number } {
    const vertexes = [...this.#vertexes.values()];
    return {
      steps: vertexes.length,
      completed: vertexes.filter(({ completed }) => completed).length,
      cached: vertexes.filter(({ cached }) => cached).length,
      warnings: this.#warnings,
    };
  }

  #declare(vertexes: readonly ShownVertex[]): void {
    const unknown = vertexes.filter(({ digest }) => !this.#vertexes.has(digest));
    if (unknown.length === 0) return;
    const fresh = unknown.map((vertex): Vertex => ({ ...vertex, cached: false }));
    for (const vertex of fresh) this.#vertexes.set(vertex.digest, vertex);
    this.#feed.publish({ vertexes: fresh.map(shown) });
  }

  #update(digest: string, change: Partial<Vertex>): void {
    const vertex = this.#vertexes.get(digest);
    if (!vertex) return;
    Object.assign(vertex, change);
    this.#feed.publish({ vertexes: [shown(vertex)] });
  }

  #log(vertex: string, stream: bigint, message: Uint8Array): void {
    this.#feed.publish({ logs: [{ vertex, timestamp: timestampNow(), stream, message }] });
  }

  /** A layer is fetched under one name and unpacked under another. */
  #progress(digest: string, { id, status = '', progressDetail }: ProgressMessage): void {
    const part = id ?? status.toLowerCase();
    if (part === '') return;
    const unpacking = `extracting ${part}`;
    const counts = { current: progressDetail?.current ?? 0, total: progressDetail?.total ?? 0 };
    if (status === 'Extracting') {
      this.#end(digest, part);
      this.part(digest, unpacking, { name: 'extract', ...counts });
    } else if (status === 'Pull complete' || status === 'Already exists' || status === 'Download complete') {
      if (!this.#end(digest, unpacking) && !this.#end(digest, part))
        this.part(digest, part, { name: 'done', done: true });
    } else if (progressDetail?.current !== undefined)
      this.part(digest, part, { name: status.toLowerCase(), ...counts });
  }

  /** A part that was told of is complete. */
  #end(digest: string, id: string): boolean {
    const part = this.#parts.get(`${digest} ${id}`);
    if (part && !part.isOver) {
      this.part(digest, id, { name: part.name === 'extract' ? 'extract' : 'done', ...part.end, done: true });
    }
    return part !== undefined;
  }

  #warn(warning: BuildWarning, { name, text }: { name: string; text: string }): void {
    const { rule, detail, description, url = '', startLine, endLine } = warning;
    this.#warnings++;
    this.#feed.publish({
      warnings: [
        {
          vertex: definitionVertex(name).digest,
          level: warningLevel,
          short: Buffer.from(`${rule}: ${detail} (line ${startLine})`),
          detail: description === '' ? [] : [Buffer.from(description)],
          url,
          info: { filename: name, data: Buffer.from(text), language: 'Dockerfile' },
          ranges: [{ start: { line: startLine, character: 0 }, end: { line: endLine, character: 0 } }],
        },
      ],
    });
  }
}

function shown({ digest, inputs, name, cached, started, completed, error = '' }: Vertex) {
  const times = { ...(started ? { started } : {}), ...(completed ? { completed } : {}) };
  return { digest, inputs: [...inputs], name, cached, error, ...times };
}
