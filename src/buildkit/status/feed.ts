import type { MessageInitShape } from '@bufbuild/protobuf';
import type { StatusResponseSchema } from '../proto/control_pb.ts';

export type StatusUpdate = MessageInitShape<typeof StatusResponseSchema>;

/** Output that is kept for clients that come late or read slowly; beyond it the oldest is dropped. */
const maxLogBytes = 32 << 20;

/** Output goes in messages of about this size where it comes faster than it is read. */
const messageBytes = 256 << 10;

/** What a build tells about itself, for everybody who asks, from its beginning. */
export class StatusFeed {
  /** Undefined where output was dropped. */
  readonly #updates: (StatusUpdate | undefined)[] = [];
  readonly #wake = new Set<() => void>();
  #maxLogBytes: number;
  #logBytes = 0;
  #oldestLog = 0;
  #ended = false;

  constructor(limits: { maxLogBytes?: number } = {}) {
    this.#maxLogBytes = limits.maxLogBytes ?? maxLogBytes;
  }

  publish(update: StatusUpdate): void {
    if (this.#ended) return;
    this.#updates.push(update);
    this.#logBytes += bytesOf(update);
    while (this.#logBytes > this.#maxLogBytes) this.#dropOldest();
    this.#wakeAll();
  }

  /** From here on this much output is kept. */
  keepOnly(logBytes: number): void {
    this.#maxLogBytes = logBytes;
    while (this.#logBytes > this.#maxLogBytes) this.#dropOldest();
  }

  end(): void {
    this.#ended = true;
    this.#wakeAll();
  }

  /** All updates, until the build has ended; output that waits comes together. */
  async *follow({ signal }: { signal: AbortSignal }): AsyncGenerator<StatusUpdate> {
    for (let next = 0; ; ) {
      while (next < this.#updates.length) {
        const update = this.#updates[next++];
        if (!update) continue;
        if (bytesOf(update) === 0) {
          yield update;
          continue;
        }
        const logs = [...(update.logs ?? [])];
        for (let size = bytesOf(update); size < messageBytes && next < this.#updates.length; next++) {
          const following = this.#updates[next];
          if (following && bytesOf(following) === 0) break;
          logs.push(...(following?.logs ?? []));
          size += following ? bytesOf(following) : 0;
        }
        yield { logs };
      }
      if (this.#ended) return;
      await this.#changed(signal);
    }
  }

  #dropOldest(): void {
    const update = this.#updates[this.#oldestLog];
    const size = update ? bytesOf(update) : 0;
    if (size > 0) this.#updates[this.#oldestLog] = undefined;
    this.#logBytes -= size;
    this.#oldestLog++;
  }

  #wakeAll(): void {
    for (const wake of this.#wake) wake();
    this.#wake.clear();
  }

  async #changed(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    this.#wake.add(resolve);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#wake.delete(resolve);
    }
  }
}

/** Of output; an update that has any has nothing else. */
function bytesOf({ logs }: StatusUpdate): number {
  return logs?.reduce((sum, { message }) => sum + (message?.byteLength ?? 0), 0) ?? 0;
}
