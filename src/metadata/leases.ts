import { randomBytes } from 'node:crypto';
import { cleanup } from '#concurrency';
import type { Digest } from '#oci';
import { lockDigests, type StoreContext } from './store-context.ts';
import type { Lease } from './types.ts';

/** A lease lost in a power cut takes only unfinished work with it; the row that finishes work is durable, and all before it. */
const quick = { durable: false } as const;

/** The leases this process holds. A lease never ends under its holder, however long the work takes. */
export class Leases {
  readonly #context: StoreContext;
  readonly session = randomBytes(12).toString('hex');
  readonly #held = new Map<string, number>();
  /** Nobody holds them any more, but a full disk kept their rows. */
  readonly #unended = new Set<string>();
  /** Told when a lease has ended. */
  onEnd: () => void = () => {};

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** True while some work holds a lease: files without rows may then be on their way. */
  get anyHeld(): boolean {
    return this.#held.size > 0;
  }

  /** When the oldest lease still held was made (`performance.now()`). */
  get oldestHeld(): number | undefined {
    return this.#held.values().next().value;
  }

  async create(options: { ttlMs?: number } = {}): Promise<Lease> {
    const { ttlMs } = options;
    const id = randomBytes(12).toString('hex');
    const expiresMs = () => (ttlMs === undefined ? undefined : this.#context.nowMs() + ttlMs);
    const { writer, digests: locks } = this.#context;
    await writer.run('leases.create', { id, session: this.session, expiresMs: expiresMs() }, quick);
    this.#held.set(id, performance.now());
    const named = new Set<Digest>();
    return {
      id,
      add: async (...digests) => {
        // A collection of one of them is waited for: afterwards the digest is gone, or it stays.
        using _held = await lockDigests(locks, digests);
        for (const digest of digests) named.add(digest);
        await writer.run('leases.add', { id, digests, expiresMs: expiresMs() }, quick);
      },
      leave: async (lifeMs) => {
        await writer.run('leases.leave', { id, expiresMs: this.#context.nowMs() + lifeMs }, quick);
        if (this.#held.delete(id)) this.onEnd();
      },
      [Symbol.asyncDispose]: async () => {
        if (!this.#held.delete(id)) return;
        await cleanup(`lease ${id}`, async () => {
          this.#unended.add(id);
          await writer.run('leases.remove', id, quick);
          this.#unended.delete(id);
          await this.#removeUnrecorded(named);
        });
        this.onEnd();
      },
    };
  }

  /** Work that ended between a file and its row never finished: its files go, unless others are at work on the same bytes. */
  async #removeUnrecorded(named: ReadonlySet<Digest>): Promise<void> {
    const { reader, content, digests: locks } = this.#context;
    const known = (digest: Digest) =>
      reader.get(
        'SELECT 1 FROM blobs WHERE digest = ?1 UNION ALL SELECT 1 FROM lease_digests WHERE digest = ?1 LIMIT 1',
        digest,
      ) !== undefined;
    for (const digest of named) {
      if (known(digest)) continue;
      using _held = await lockDigests(locks, [digest]);
      const oldest = this.oldestHeld;
      if (known(digest) || (oldest !== undefined && content.storedSince(digest, oldest))) continue;
      await content.delete(digest, { storedBefore: performance.now() });
    }
  }

  /** Digests that live leases name. Call after `expire`. */
  digests(): ReadonlySet<Digest> {
    const rows = this.#context.reader.all('SELECT DISTINCT digest FROM lease_digests');
    return new Set(rows.map((row) => row['digest'] as Digest));
  }

  async dropLeft(digest?: Digest): Promise<void> {
    const { reader, writer } = this.#context;
    const named = reader.all(
      `SELECT DISTINCT digest FROM lease_digests WHERE lease_id IN
        (SELECT id FROM leases WHERE session <> ?1 AND (?2 IS NULL OR id IN (SELECT lease_id FROM lease_digests WHERE digest = ?2)))`,
      this.session,
      digest ?? null,
    );
    if (named.length === 0) return;
    await writer.run('leases.dropLeft', { session: this.session, digest }, quick);
    await this.#removeUnrecorded(new Set(named.map((row) => row['digest'] as Digest)));
  }

  get anyRecorded(): boolean {
    return this.#context.reader.get('SELECT 1 FROM leases LIMIT 1') !== undefined;
  }

  async expire(): Promise<void> {
    const now = { session: this.session, nowMs: this.#context.nowMs() };
    const dead = this.#context.reader.get(
      'SELECT 1 FROM leases WHERE session <> ? AND (expires_ms IS NULL OR expires_ms <= ?) LIMIT 1',
      now.session,
      now.nowMs,
    );
    if (dead) await this.#endLeft(now);
    for (const id of [...this.#unended]) {
      await this.#context.writer.run('leases.remove', id, quick);
      this.#unended.delete(id);
    }
  }

  /** Those whose time is over, with the files that only they named. */
  async #endLeft(now: { session: string; nowMs: number }): Promise<void> {
    const named = this.#context.reader.all(
      `SELECT DISTINCT digest FROM lease_digests WHERE lease_id IN
        (SELECT id FROM leases WHERE session = '' AND expires_ms <= ?)`,
      now.nowMs,
    );
    await this.#context.writer.run('leases.expire', now);
    await this.#removeUnrecorded(new Set(named.map((row) => row['digest'] as Digest)));
  }
}
