const maxClients = 100_000;

/** A bucket of requests per client, filled at a rate: RFC 6585 §4. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clients = new Map<string, { tokens: number; atMs: number }>();

  constructor(options: { perSecond: number; burst: number }) {
    this.#perSecond = options.perSecond;
    this.#burst = options.burst;
  }

  /** Takes one; answers 0, or after how many seconds there will be one. */
  take(client: string, nowMs: number): number {
    const bucket = this.#clients.get(client) ?? { tokens: this.#burst, atMs: nowMs };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * this.#perSecond);
    bucket.atMs = nowMs;
    // Who has not asked for longest is forgotten first.
    this.#clients.delete(client);
    this.#clients.set(client, bucket);
    if (this.#clients.size > maxClients) this.#clients.delete(this.#clients.keys().next().value!);
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / this.#perSecond));
    bucket.tokens--;
    return 0;
  }
}
