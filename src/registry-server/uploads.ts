import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { delay, KeyedLock } from '#concurrency';
import { isKind } from '#errdefs';
import { type Digest, type DigestAlgorithm, digestAlgorithm, isDigest } from '#oci';
import type { ByteSource } from '#streams';
import { ApiError } from './api-error.ts';
import { type Exchange, requireDigest, sendEmpty } from './exchange.ts';
import type { Stores } from './registry.ts';
import type { Upload } from './store/blob-store.ts';

/** An upload nobody touches for this long lets go of its file; who comes back later finds it again. */
const idleMs = 10 * 60_000;
/** An upload nobody touches for this long is removed. */
const abandonedMs = 24 * 60 * 60_000;
const sweepMs = 60_000;
const maxUploads = 4096;
/** An append is looked at so often, and gives way when so many looks in a row have seen nothing come. */
const lookMs = 50;
const silentLooks = 10;
/** One goes into the name of a file. */
const isSessionID = /^[0-9a-f-]{36}$/;
/** Who asks where an upload stands that still grows is told after so many. */
const patientLooks = 60;

interface Session {
  readonly name: string;
  readonly upload: Upload;
  touchedMs: number;
  /** The request that is being appended. */
  receiving?: IncomingMessage | undefined;
  arrivedBytes: number;
}

/** Uploads in flight: distribution-spec v1.1 §pushing-blobs. They outlive the server. */
export class Uploads implements AsyncDisposable {
  readonly #stores: Stores;
  readonly #sessions = new Map<string, Session>();
  readonly #locks = new KeyedLock();
  readonly #sweeper: NodeJS.Timeout;

  constructor(stores: Stores) {
    this.#stores = stores;
    this.#sweeper = setInterval(() => void this.#sweep(), sweepMs).unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** POST: mount, or the whole blob at once, or a new session. */
  async begin(exchange: Exchange, name: string): Promise<void> {
    const query = exchange.url.searchParams;
    const mount = query.get('mount');
    if (mount !== null && isDigest(mount) && (await this.#mount(exchange, name, mount))) {
      sendEmpty(exchange, 201, created(name, mount));
      return;
    }
    if (this.#sessions.size >= maxUploads) throw new ApiError('UNKNOWN', 'too many uploads in flight', { status: 503 });
    const digest = query.get('digest');
    const algorithm =
      digest === null ? algorithmNamed(query.get('digest-algorithm')) : digestAlgorithm(requireDigest(digest));
    const id = randomUUID();
    const upload = await this.#stores.blobs.beginUpload(keyOf(name, id), algorithm);
    this.#sessions.set(id, { name, upload, touchedMs: Date.now(), arrivedBytes: 0 });
    if (digest === null) return sendEmpty(exchange, 202, progress(name, id, upload));
    try {
      await this.finish(exchange, name, id);
    } catch (error) {
      // Nobody was told its id.
      if (this.#sessions.delete(id)) await upload.abort();
      throw error;
    }
  }

  /** From the repository named, or from any that has the blob; only from those the client may read. */
  async #mount({ url, access }: Exchange, name: string, digest: Digest): Promise<boolean> {
    const { meta, claims, locks, retention } = this.#stores;
    using _ = await locks.acquire(digest);
    const named = url.searchParams.get('from');
    const holders = named === null ? await meta.holders(digest) : [named];
    // A token names the repository that is pushed to: what its user may read elsewhere is for the rules to say.
    const isReadable = access.visible() ?? (() => true);
    const from = holders.find(isReadable);
    const sizeBytes = from === undefined ? undefined : await meta.blob(from, digest);
    if (sizeBytes === undefined) return false;
    const untilMs = Date.now() + retention.unclaimedMs;
    await claims.expect(name, digest, untilMs);
    await meta.linkBlob(name, { digest, sizeBytes }, untilMs);
    return true;
  }

  /** PATCH: the next chunk. A chunk that does not begin where the last one ended is 416. */
  async append(exchange: Exchange, name: string, id: string): Promise<void> {
    using _ = await this.#turn(id);
    const { upload } = await this.#session(name, id);
    await this.#receive(exchange, name, id, upload);
    sendEmpty(exchange, 202, progress(name, id, upload));
  }

  /** PUT: the last chunk, if any, then verify and keep. */
  async finish(exchange: Exchange, name: string, id: string): Promise<void> {
    using _ = await this.#turn(id);
    const { upload } = await this.#session(name, id);
    const digest = requireDigest(exchange.url.searchParams.get('digest'));
    await this.#receive(exchange, name, id, upload);
    this.#sessions.delete(id);
    await keepBlob(this.#stores, name, upload, digest);
    sendEmpty(exchange, 201, created(name, digest));
  }

  async #receive(exchange: Exchange, name: string, id: string, upload: Upload): Promise<void> {
    requireInOrder(exchange, name, id, upload);
    const { maxBlobBytes } = this.#stores.limits;
    const receiving = this.#sessions.get(id);
    if (receiving) receiving.receiving = exchange.request;
    try {
      const arrival = { receiving, sizeBytes: upload.sizeBytes, maxBytes: maxBlobBytes };
      await upload.append(arriving(exchange.request, arrival));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#sessions.delete(id);
      await upload.abort();
      throw error;
    } finally {
      const session = this.#sessions.get(id);
      if (session) session.touchedMs = Date.now();
      if (receiving) receiving.receiving = undefined;
    }
  }

  async status(exchange: Exchange, name: string, id: string): Promise<void> {
    const session = await this.#session(name, id);
    const { upload } = session;
    // Of one that still grows only what it is now can be told.
    using _ = (await isSilent(session, patientLooks)) ? await this.#turn(id) : undefined;
    sendEmpty(exchange, 204, progress(name, id, upload));
  }

  async cancel(exchange: Exchange, name: string, id: string): Promise<void> {
    using _ = await this.#turn(id);
    const { upload } = await this.#session(name, id);
    this.#sessions.delete(id);
    await upload.abort();
    sendEmpty(exchange, 204);
  }

  /**
   * The upload for this request alone. An append that has gone silent gives way: its client has come back by another connection, and the one it had may
   * never be heard of again.
   */
  async #turn(id: string): Promise<Disposable> {
    const session = this.#sessions.get(id);
    if (session && (await isSilent(session, Number.POSITIVE_INFINITY)) && !session.receiving?.complete) {
      session.receiving?.destroy();
    }
    return await this.#locks.acquire(id);
  }

  /** Also one that an earlier process began. */
  async #session(name: string, id: string): Promise<Session> {
    const known = this.#sessions.get(id) ?? (isSessionID.test(id) ? await this.#resume(name, id) : undefined);
    if (known?.name !== name) {
      throw new ApiError('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry', { detail: id });
    }
    known.touchedMs = Date.now();
    return known;
  }

  async #resume(name: string, id: string): Promise<Session | undefined> {
    const upload = await this.#stores.blobs.resumeUpload(keyOf(name, id), 'sha256');
    if (!upload) return undefined;
    const raced = this.#sessions.get(id);
    if (raced) {
      await upload.suspend();
      return raced;
    }
    const session = { name, upload, touchedMs: Date.now(), arrivedBytes: 0 };
    this.#sessions.set(id, session);
    return session;
  }

  async #sweep(): Promise<void> {
    const nowMs = Date.now();
    for (const [id, session] of this.#sessions) {
      if (session.touchedMs > nowMs - idleMs || this.#locks.isHeld(id)) continue;
      this.#sessions.delete(id);
      await session.upload.suspend();
    }
    await this.#stores.blobs.sweepUploads(nowMs - abandonedMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.allSettled(sessions.map((session) => session.upload.suspend()));
  }
}

/** Verified, in place and linked; no collection comes between the last two. @throws ApiError `DIGEST_INVALID`; the upload is gone then. */
export async function keepBlob(stores: Stores, name: string, upload: Upload, digest: Digest): Promise<void> {
  const { meta, claims, locks, retention } = stores;
  const { sizeBytes } = upload;
  using _ = await locks.acquire(digest);
  try {
    await upload.commit(digest);
  } catch (error) {
    if (!isKind(error, 'data-loss')) throw error;
    throw new ApiError('DIGEST_INVALID', 'provided digest did not match uploaded content', { detail: digest });
  }
  const untilMs = Date.now() + retention.unclaimedMs;
  await claims.expect(name, digest, untilMs);
  await meta.linkBlob(name, { digest, sizeBytes }, untilMs);
}

/** Whether an append under way has stopped to bring anything, or there is none. Waits while it does, for so many looks at most. */
async function isSilent(session: Session, maxLooks: number): Promise<boolean> {
  let silent = 0;
  for (let looks = 0; looks < maxLooks && silent < silentLooks; looks++) {
    if (!session.receiving || session.receiving.complete) return true;
    const { arrivedBytes } = session;
    await delay(lookMs);
    silent = session.arrivedBytes === arrivedBytes ? silent + 1 : 0;
  }
  return silent >= silentLooks;
}

interface Arrival {
  readonly receiving: Session | undefined;
  readonly sizeBytes: number;
  readonly maxBytes: number;
}

/** Counted, and no more than a blob may have. */
async function* arriving(source: ByteSource, { receiving, sizeBytes, maxBytes }: Arrival): AsyncGenerator<Uint8Array> {
  let left = maxBytes - sizeBytes;
  for await (const chunk of source) {
    if (receiving) receiving.arrivedBytes += chunk.byteLength;
    left -= chunk.byteLength;
    if (left < 0) throw new ApiError('SIZE_INVALID', `blob is larger than ${maxBytes} bytes`, { status: 413 });
    yield chunk;
  }
}

function algorithmNamed(name: string | null): DigestAlgorithm {
  if (name === null || name === 'sha256') return 'sha256';
  if (name === 'sha512') return 'sha512';
  throw new ApiError('DIGEST_INVALID', 'unsupported digest algorithm', { detail: name });
}

/** A session belongs to one repository, and is found again by its name after a restart. */
function keyOf(name: string, id: string): string {
  return `${id}-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
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
