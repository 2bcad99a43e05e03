import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Digest, isDigest } from '#oci';
import type { ByteSource } from '#streams';
import type { Access, Action } from './access/access.ts';
import { ApiError } from './api-error.ts';
import type { Page } from './store/meta-store.ts';

/** What a request turned out to be about: for logs, counts and messages. */
export interface Facts {
  action?: Action | 'restore' | 'describe' | 'star' | 'token';
  repository?: string;
  /** A tag, a digest or an upload. */
  reference?: string;
  /** Something happened that others may want to hear of. */
  event?: RegistryEvent;
}

export const eventKinds = ['manifest-pushed', 'manifest-deleted', 'tag-deleted', 'blob-deleted', 'restored'] as const;

export interface RegistryEvent {
  readonly kind: (typeof eventKinds)[number];
  readonly repository: string;
  readonly digest?: Digest;
  readonly mediaType?: string;
  readonly tags?: readonly string[];
}

/** One request with what handlers read of it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly access: Access;
  readonly facts: Facts;
}

type Headers = Readonly<Record<string, string | number>>;

export function sendEmpty({ response }: Exchange, status: number, headers: Headers = {}): void {
  response.writeHead(status, { 'Content-Length': 0, ...headers }).end();
}

export function sendJson(exchange: Exchange, status: number, text: string, headers: Headers = {}): void {
  sendText(exchange, status, text, { 'Content-Type': 'application/json', ...headers });
}

export function sendText({ request, response }: Exchange, status: number, text: string, headers: Headers): void {
  const bytes = Buffer.from(text);
  response.writeHead(status, { 'Content-Length': bytes.length, ...headers });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export function sendBytes({ response }: Exchange, status: number, bytes: Uint8Array, headers: Headers): void {
  response.writeHead(status, headers).end(bytes);
}

/** Streams a body; a reader that leaves early is no error of ours. */
export async function sendStream(
  { response }: Exchange,
  status: number,
  headers: Headers,
  source: ByteSource,
): Promise<void> {
  response.writeHead(status, headers);
  for await (const chunk of source) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await drained(response);
  }
  response.end();
}

/** Room for more, or nobody there any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
    if (response.destroyed) done();
  });
}

/** The digest of a path or query. @throws ApiError `DIGEST_INVALID`. */
export function requireDigest(text: string | null): Digest {
  if (text !== null && isDigest(text)) return text;
  throw new ApiError('DIGEST_INVALID', 'provided digest did not match uploaded content', { detail: text });
}

/** RFC 9110 §13.1.2: the client has this very thing already. */
export function isUnchanged({ request }: Exchange, etag: string): boolean {
  const known = request.headers['if-none-match'];
  if (known === undefined) return false;
  return known.trim() === '*' || known.split(',').some((entry) => entry.trim().replace(/^W\//, '') === etag);
}

/** distribution-spec v1.1 §listing-tags: `n` entries after `last`, and the link to what follows. */
export async function readPage(
  { url }: Exchange,
  list: (page: Page) => Promise<readonly string[]>,
): Promise<{ entries: readonly string[]; headers: Headers }> {
  const count = url.searchParams.get('n');
  if (count !== null && !/^\d{1,9}$/.test(count)) {
    throw new ApiError('PAGINATION_NUMBER_INVALID', 'invalid number of results requested', { detail: { n: count } });
  }
  const after = url.searchParams.get('last') ?? undefined;
  if (count === null) return { entries: await list({ after }), headers: {} };
  const found = Number(count) === 0 ? [] : await list({ after, limit: Number(count) + 1 });
  const entries = found.slice(0, Number(count));
  if (found.length <= entries.length) return { entries, headers: {} };
  const next = new URLSearchParams({ n: count, last: entries.at(-1)! });
  return { entries, headers: { Link: `<${url.pathname}?${next}>; rel="next"` } };
}
