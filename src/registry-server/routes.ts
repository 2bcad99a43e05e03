import { isValid, parseReference } from '#reference';
import { ApiError } from './api-error.ts';
import { deleteBlob, readBlob, type Stores } from './blobs.ts';
import { type Exchange, page, requireDigest, sendJson } from './exchange.ts';
import { deleteManifest, listReferrers, readManifest, writeManifest } from './manifests.ts';
import type { Uploads } from './uploads.ts';

type Handler = (stores: Stores, uploads: Uploads, exchange: Exchange, name: string, rest: string) => Promise<void>;

/** Paths below `/v2/<name>/`, each with its methods. The first that fits counts; names may themselves contain such words. */
const table: readonly (readonly [RegExp, Readonly<Record<string, Handler>>])[] = [
  [/^\/v2\/(.+)\/blobs\/uploads\/?$/, { POST: (_, uploads, exchange, name) => uploads.begin(exchange, name) }],
  [
    /^\/v2\/(.+)\/blobs\/uploads\/([0-9a-f-]{36})$/,
    {
      GET: (_, uploads, exchange, name, id) => uploads.status(exchange, name, id),
      PATCH: (_, uploads, exchange, name, id) => uploads.append(exchange, name, id),
      PUT: (_, uploads, exchange, name, id) => uploads.finish(exchange, name, id),
      DELETE: (_, uploads, exchange, name, id) => uploads.cancel(exchange, name, id),
    },
  ],
  [
    /^\/v2\/(.+)\/blobs\/([^/]+)$/,
    {
      GET: (stores, _, exchange, name, text) => readBlob(stores, exchange, name, requireDigest(text)),
      HEAD: (stores, _, exchange, name, text) => readBlob(stores, exchange, name, requireDigest(text)),
      DELETE: (stores, _, exchange, name, text) => deleteBlob(stores, exchange, name, requireDigest(text)),
    },
  ],
  [
    /^\/v2\/(.+)\/manifests\/([^/]+)$/,
    {
      GET: (stores, _, exchange, name, text) => readManifest(stores, exchange, name, text),
      HEAD: (stores, _, exchange, name, text) => readManifest(stores, exchange, name, text),
      PUT: (stores, _, exchange, name, text) => writeManifest(stores, exchange, name, text),
      DELETE: (stores, _, exchange, name, text) => deleteManifest(stores, exchange, name, text),
    },
  ],
  [/^\/v2\/(.+)\/tags\/list$/, { GET: (stores, _, exchange, name) => listTags(stores, exchange, name) }],
  [
    /^\/v2\/(.+)\/referrers\/([^/]+)$/,
    { GET: (stores, _, exchange, name, text) => listReferrers(stores, exchange, name, text) },
  ],
];

/** Answers one request. @throws ApiError for the server to word. */
export async function route(stores: Stores, uploads: Uploads, exchange: Exchange): Promise<void> {
  const { request, url } = exchange;
  const path = decodeURIComponent(url.pathname);
  const method = request.method ?? 'GET';
  if (path === '/v2/' || path === '/v2') return only(['GET', 'HEAD'], method, () => sendJson(exchange, 200, '{}'));
  if (path === '/v2/_catalog') return await catalog(stores, exchange);
  for (const [pattern, methods] of table) {
    const match = pattern.exec(path);
    if (!match) continue;
    const [, name, rest = ''] = match as unknown as [string, string, string?];
    requireName(name);
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (!handler) throw unsupported();
    return await handler(stores, uploads, exchange, name, rest);
  }
  throw new ApiError('UNSUPPORTED', 'The operation is unsupported.', { status: 404 });
}

function only(methods: readonly string[], method: string, answer: () => void): void {
  if (!methods.includes(method)) throw unsupported();
  answer();
}

function unsupported(): ApiError {
  return new ApiError('UNSUPPORTED', 'The operation is unsupported.');
}

/** A name is a folder here: it must follow the grammar, whose components never begin with a dot or an underscore. */
function requireName(name: string): void {
  const full = `registry.invalid/${name}`;
  if (!isValid(full) || parseReference(full).path !== name) {
    throw new ApiError('NAME_INVALID', 'invalid repository name', { detail: name });
  }
}

async function listTags(stores: Stores, exchange: Exchange, name: string): Promise<void> {
  if (!(await stores.meta.hasRepository(name))) {
    throw new ApiError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
  }
  const { entries, headers } = page(exchange, await stores.meta.tags(name));
  sendJson(exchange, 200, JSON.stringify({ name, tags: entries }), headers);
}

async function catalog(stores: Stores, exchange: Exchange): Promise<void> {
  if (exchange.request.method !== 'GET') throw unsupported();
  const { entries, headers } = page(exchange, await stores.meta.repositories());
  sendJson(exchange, 200, JSON.stringify({ repositories: entries }), headers);
}
