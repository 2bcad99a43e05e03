import { randomUUID } from 'node:crypto';
import { KeyedLock } from '#concurrency';
import { isKind } from '#errdefs';
import type { Digest } from '#oci';
import { isDigest } from '#oci';
import { ApiError } from './api-error.ts';
import type { Stores } from './blobs.ts';
import { type Exchange, requireDigest, sendEmpty } from './exchange.ts';
import type { Upload } from './types.ts';

/** An upload nobody touches for this long is dropped. */
const idleMs = 60 * 60_000;
const sweepMs = 5 * 60_000;
const maxUploads = 4096;

interface Session {
  readonly name: string;
  readonly upload: Upload;
  touchedMs: number;
}

/** Uploads in flight: distribution-spec v1.1 §pushing-blobs. They live as long as the server. */
export class Uploads implements AsyncDisposable {
  readonly #stores: Stores;
  readonly #sessions = new Map<string, Session>();
  readonly #locks = new KeyedLock();
  readonly #sweeper: NodeJS.Timeout;

  constructor(stores: Stores) {
    this.#stores = stores;
    this.#sweeper = setInterval(() => void this.#sweep(), sweepMs).unref();
  }

  /** POST: mount, or the whole blob at once, or a new session. */
  async begin(exchange: Exchange, name: string): Promise<void> {
    const query = exchange.url.searchParams;
    const mount = query.get('mount');
    if (mount !== null && (await this.#mount(name, mount, query.get('from')))) {
      sendEmpty(exchange, 201, created(name, mount));
      return;
    }
    if (this.#sessions.size >= maxUploads) throw new ApiError('UNKNOWN', 'too many uploads in flight', { status: 503 });
    const id = randomUUID();
    const session = { name, upload: await this.#stores.blobs.beginUpload(), touchedMs: Date.now() };
    this.#sessions.set(id, session);
    const digest = query.get('digest');
    if (digest !== null) await this.finish(exchange, name, id);
    else sendEmpty(exchange, 202, progress(name, id, session.upload));
  }

  async #mount(name: string, digest: string, from: string | null): Promise<boolean> {
    if (!isDigest(digest) || from === null || !(await this.#stores.meta.hasBlob(from, digest))) return false;
    await this.#stores.meta.linkBlob(name, digest);
    return true;
  }

  /** PATCH: the next chunk. A chunk that does not begin where the last one ended is 416. */
  async append(exchange: Exchange, name: string, id: string): Promise<void> {
    using _ = await this.#locks.acquire(id);
    const { upload } = this.#session(name, id);
    requireInOrder(exchange, name, id, upload);
    await upload.append(exchange.request);
    sendEmpty(exchange, 202, progress(name, id, upload));
  }

  /** PUT: the last chunk, if any, then verify and keep. */
  async finish(exchange: Exchange, name: string, id: string): Promise<void> {
    using _ = await this.#locks.acquire(id);
    const { upload } = this.#session(name, id);
    const digest = requireDigest(exchange.url.searchParams.get('digest'));
    requireInOrder(exchange, name, id, upload);
    await upload.append(exchange.request);
    this.#sessions.delete(id);
    await commit(upload, digest);
    await this.#stores.meta.linkBlob(name, digest);
    sendEmpty(exchange, 201, created(name, digest));
  }

  async status(exchange: Exchange, name: string, id: string): Promise<void> {
    sendEmpty(exchange, 204, progress(name, id, this.#session(name, id).upload));
  }

  async cancel(exchange: Exchange, name: string, id: string): Promise<void> {
    using _ = await this.#locks.acquire(id);
    const { upload } = this.#session(name, id);
    this.#sessions.delete(id);
    await upload.abort();
    sendEmpty(exchange, 204);
  }

  #session(name: string, id: string): Session {
    const session = this.#sessions.get(id);
    if (session?.name !== name) {
      throw new ApiError('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry', { detail: id });
    }
    session.touchedMs = Date.now();
    return session;
  }

  async #sweep(): Promise<void> {
    for (const [id, session] of this.#sessions) {
      if (session.touchedMs > Date.now() - idleMs || this.#locks.isHeld(id)) continue;
      this.#sessions.delete(id);
      await session.upload.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.allSettled(sessions.map((session) => session.upload.abort()));
  }
}

async function commit(upload: Upload, digest: Digest): Promise<void> {
  try {
    await upload.commit(digest);
  } catch (error) {
    if (!isKind(error, 'data-loss')) throw error;
    throw new ApiError('DIGEST_INVALID', 'provided digest did not match uploaded content', { detail: digest });
  }
}

function requireInOrder(exchange: Exchange, name: string, id: string, upload: Upload): void {
  const header = exchange.request.headers['content-range'];
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/.*)?$/.exec(header ?? '');
  if (header === undefined || (match && Number(match[1]) === upload.sizeBytes)) return;
  throw new ApiError('RANGE_INVALID', 'invalid content range', {
    detail: header,
    headers: progress(name, id, upload),
  });
}

function progress(name: string, id: string, upload: Upload): Record<string, string> {
  return {
    Location: `/v2/${name}/blobs/uploads/${id}`,
    Range: `0-${Math.max(0, upload.sizeBytes - 1)}`,
    'Docker-Upload-UUID': id,
  };
}

function created(name: string, digest: string): Record<string, string> {
  return { Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest };
}
