import type { Digest } from '#oci';

interface Claim {
  count: number;
  untilMs: number;
}

/**
 * Blobs that clients were told are there (a push asks before it sends) and are about to refer to: a collection leaves them alone. As many
 * clients may hope for one blob, they are counted; a hope that nothing comes of ends with its time.
 */
export class Claims {
  readonly #claims = new Map<string, Claim>();
  readonly #dropping = new Map<string, Promise<unknown>>();

  /** Waits while the blob is being taken out, so that nobody is told that it is there. */
  async expect(name: string, digest: Digest, untilMs: number): Promise<void> {
    const key = keyOf(name, digest);
    for (let drop = this.#dropping.get(key); drop; drop = this.#dropping.get(key)) await drop.catch(() => {});
    const claim = this.#claims.get(key);
    this.#claims.set(key, { count: (claim?.count ?? 0) + 1, untilMs: Math.max(untilMs, claim?.untilMs ?? 0) });
  }

  /** A manifest refers to them: one client's hope has come true. */
  settle(name: string, digests: readonly Digest[]): void {
    for (const digest of digests) {
      const key = keyOf(name, digest);
      const claim = this.#claims.get(key);
      if (claim && --claim.count <= 0) this.#claims.delete(key);
    }
  }

  isExpected(name: string, digest: Digest): boolean {
    return this.#claims.has(keyOf(name, digest));
  }

  /** Nobody is told that a blob is there from when `mayDrop` says it may go until `work` is done. */
  async whileDropping<T>(work: (mayDrop: (name: string, digest: Digest) => boolean) => Promise<T>): Promise<T> {
    const done = Promise.withResolvers<void>();
    const keys: string[] = [];
    try {
      return await work((name, digest) => {
        const key = keyOf(name, digest);
        if (this.#claims.has(key)) return false;
        keys.push(key);
        this.#dropping.set(key, done.promise);
        return true;
      });
    } finally {
      for (const key of keys) this.#dropping.delete(key);
      done.resolve();
    }
  }

  /** Drops what has had its time. */
  sweep(nowMs: number): void {
    for (const [key, { untilMs }] of this.#claims) if (untilMs <= nowMs) this.#claims.delete(key);
  }
}

function keyOf(name: string, digest: Digest): string {
  return `${name} ${digest}`;
}
