/** Work in progress, by key: who asks for a key that is being made waits for it instead of making it again. */

/** The maker gave up (its build was cancelled): whoever waits makes it anew. */
class Abandoned extends Error {}

interface Flight<R> {
  /** Settles when the result may be used by others. */
  readonly shared: Promise<R>;
  readonly events: unknown[];
  readonly listeners: Set<(event: unknown) => void>;
}

/** Events kept for those who join late; older ones are dropped first. */
const maxReplayed = 10_000;

export class Flights<R> {
  readonly #flights = new Map<string, Flight<R>>();

  /**
   * Runs `make` unless the key is in flight; then listens to that and answers its result once `settle` has passed. The maker gets its result without
   * waiting for `settle`. A maker's failure is everybody's; a maker's abort is its own.
   */
  async join(
    key: string,
    options: {
      readonly signal: AbortSignal;
      readonly listen: (event: unknown) => void;
      readonly make: (report: (event: unknown) => void) => Promise<R>;
      readonly settle: (result: R) => Promise<void>;
    },
  ): Promise<{ result: R; made: boolean }> {
    while (true) {
      options.signal.throwIfAborted();
      const flight = this.#flights.get(key);
      if (!flight) return { result: await this.#make(key, options), made: true };
      try {
        return { result: await this.#follow(flight, options), made: false };
      } catch (error) {
        if (!(error instanceof Abandoned)) throw error;
      }
    }
  }

  async #make(key: string, options: Parameters<Flights<R>['join']>[1]): Promise<R> {
    const events: unknown[] = [];
    const listeners = new Set([options.listen]);
    const report = (event: unknown) => {
      events.push(event);
      if (events.length > maxReplayed) events.shift();
      for (const listen of listeners) listen(event);
    };
    const making = options.make(report);
    const shared = this.#share(making, options);
    this.#flights.set(key, { shared, events, listeners });
    const land = () => this.#flights.delete(key);
    shared.then(land, land);
    return await making;
  }

  async #share(making: Promise<R>, options: Parameters<Flights<R>['join']>[1]): Promise<R> {
    try {
      const result = await making;
      await options.settle(result);
      return result;
    } catch (error) {
      throw options.signal.aborted ? new Abandoned() : error;
    }
  }

  async #follow(flight: Flight<R>, options: Parameters<Flights<R>['join']>[1]): Promise<R> {
    for (const event of flight.events) options.listen(event);
    flight.listeners.add(options.listen);
    const left = Promise.withResolvers<never>();
    const leave = () => left.reject(options.signal.reason);
    options.signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([flight.shared, left.promise]);
    } finally {
      options.signal.removeEventListener('abort', leave);
      flight.listeners.delete(options.listen);
    }
  }
}
