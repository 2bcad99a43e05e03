import { EngineError } from '#errdefs';
import { Arrivals } from '../arrivals.ts';
import type { ClientSession } from './client-session.ts';

/** A client opens its session and asks for a build at the same time, on two connections. */
const waitMs = 5000;

/** The sessions of clients by their IDs. */
export class Sessions implements Disposable {
  readonly #sessions = new Arrivals<ClientSession>(waitMs, (id) => `no active session for ${id}`);

  /** Until the client goes away. @throws `conflict` when there is a session by this ID */
  async hold(session: ClientSession): Promise<void> {
    const { id, peer } = session;
    try {
      if (id === '') throw new EngineError('invalid-argument', 'a session needs an ID');
      if (this.#sessions.has(id)) throw new EngineError('conflict', `session ${id} already exists`);
    } catch (error) {
      peer.close();
      throw error;
    }
    this.#sessions.add(id, session);
    await peer.closed;
    this.#sessions.delete(id);
  }

  /** Waits a moment for one that is on its way. @throws `not-found` */
  async get(id: string, { signal }: { signal: AbortSignal }): Promise<ClientSession> {
    return await this.#sessions.get(id, signal);
  }

  [Symbol.dispose](): void {
    for (const { peer } of this.#sessions.all()) peer.close();
  }
}
