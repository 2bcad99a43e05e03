import type { MessageInitShape } from '@bufbuild/protobuf';
import type { StatusResponseSchema } from '../proto/control_pb.ts';

export type StatusUpdate = MessageInitShape<typeof StatusResponseSchema>;

/** What a build tells about itself, for everybody who asks, from its beginning. */
export class StatusFeed {
  readonly #updates: StatusUpdate[] = [];
  readonly #wake = new Set<() => void>();
  #ended = false;

  publish(update: StatusUpdate): void {
    if (this.#ended) return;
    this.#updates.push(update);
    this.#wakeAll();
  }

  end(): void {
    this.#ended = true;
    this.#wakeAll();
  }

  /** All updates, until the build has ended. */
  async *follow({ signal }: { signal: AbortSignal }): AsyncGenerator<StatusUpdate> {
    for (let next = 0; ; ) {
      while (next < this.#updates.length) yield this.#updates[next++]!;
      if (this.#ended) return;
      await this.#changed(signal);
    }
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
