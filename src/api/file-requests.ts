import { randomBytes } from 'node:crypto';
import type { ListedContext } from '#api-types';
import { rangesOf } from '#context-listing';
import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';

/** Whom an upload is for. `take` returns when the body has been used. */
interface Waiting {
  take(body: ByteSource): Promise<void>;
}

/** By an ID that nobody can guess: only who is asked knows it. */
const waiting = new Map<string, Waiting>();

/** Contents that a build asks for in its answer, and that come by requests of their own. */
export function askedOverHttp(listing: Uint8Array): ListedContext {
  return {
    listing,
    async *send(entries, { report, signal }) {
      const id = randomBytes(16).toString('hex');
      const arrived = Promise.withResolvers<ByteSource>();
      const used = Promise.withResolvers<void>();
      const onAbort = () => arrived.reject(signal.reason);
      waiting.set(id, {
        take: async (body) => {
          waiting.delete(id);
          arrived.resolve(body);
          await used.promise;
        },
      });
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        signal.throwIfAborted();
        report({ wanted: { id, entries: rangesOf(entries) } });
        yield* await arrived.promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
        waiting.delete(id);
        used.resolve();
      }
    },
  };
}

/** Hands an upload to the build that asked for it. @throws `not-found` */
export async function takeFiles(id: string, body: ByteSource): Promise<void> {
  const asked = waiting.get(id);
  if (!asked) throw new EngineError('not-found', `no build asks for files as ${JSON.stringify(id.slice(0, 64))}`);
  await asked.take(body);
}
