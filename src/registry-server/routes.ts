import { ApiError } from './api-error.ts';
import { deleteBlob, readBlob } from './blobs.ts';
import { type Exchange, readPage, requireDigest, sendJson } from './exchange.ts';
import { deleteManifest, listReferrers, readManifest, writeManifest } from './manifests.ts';
import type { Registry } from './registry.ts';
import { requireName } from './repository-name.ts';

type Handler = (registry: Registry, exchange: Exchange, name: string, rest: string) => Promise<void>;

/** Paths below `/v2/<name>/`, each with its methods. The first that fits counts; names may themselves contain such words. */
const table: readonly (readonly [RegExp, Readonly<Record<string, Handler>>])[] = [
  [/^\/v2\/(.+)\/blobs\/uploads\/?$/, { POST: ({ uploads }, exchange, name) => uploads.begin(exchange, name) }],
  [
    /^\/v2\/(.+)\/blobs\/uploads\/([0-9a-f-]{36})$/,
    {
      GET: ({ uploads }, exchange, name, id) => uploads.status(exchange, name, id),
      PATCH: ({ uploads }, exchange, name, id) => uploads.append(exchange, name, id),
      PUT: ({ uploads }, exchange, name, id) => uploads.finish(exchange, name, id),
      DELETE: ({ uploads }, exchange, name, id) => uploads.cancel(exchange, name, id),
    },
  ],
  [
    /^\/v2\/(.+)\/blobs\/([^/]+)$/,
    {
      GET: (registry, exchange, name, text) => readBlob(registry, exchange, name, requireDigest(text)),
      HEAD: (registry, exchange, name, text) => readBlob(registry, exchange, name, requireDigest(text)),
      DELETE: (registry, exchange, name, text) => deleteBlob(registry, exchange, name, requireDigest(text)),
    },
  ],
  [
    /^\/v2\/(.+)\/manifests\/([^/]+)$/,
    {
      GET: (registry, exchange, name, text) => readManifest(registry, exchange, name, text),
      HEAD: (registry, exchange, name, text) => readManifest(registry, exchange, name, text),
      PUT: (registry, exchange, name, text) => writeManifest(registry, exchange, name, text),
      DELETE: (registry, exchange, name, text) => deleteManifest(registry, exchange, name, text),
    },
  ],
  [/^\/v2\/(.+)\/tags\/list$/, { GET: (registry, exchange, name) => listTags(registry, exchange, name) }],
  [
    /^\/v2\/(.+)\/referrers\/([^/]+)$/,
    { GET: (registry, exchange, name, text) => listReferrers(registry, exchange, name, text) },
  ],
];

/** Answers what is below `/v2/`. @throws ApiError for the server to word. */
export async function route(registry: Registry, exchange: Exchange, path: string): Promise<void> {
  const method = exchange.request.method ?? 'GET';
  if (path === '/v2/' || path === '/v2') return only(['GET', 'HEAD'], method, () => sendJson(exchange, 200, '{}'));
  if (path === '/v2/_catalog') return await catalog(registry, exchange);
  for (const [pattern, methods] of table) {
    const match = pattern.exec(path);
    if (!match) continue;
    const [, name, rest = ''] = match as unknown as [string, string, string?];
    requireName(name);
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (!handler) throw unsupported();
    return await handler(registry, exchange, name, rest);
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

async function listTags({ meta }: Registry, exchange: Exchange, name: string): Promise<void> {
  if (!(await meta.hasRepository(name))) {
    throw new ApiError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
  }
  const { entries, headers } = await readPage(exchange, (page) => meta.tags(name, page));
  sendJson(exchange, 200, JSON.stringify({ name, tags: entries }), headers);
}

async function catalog({ meta }: Registry, exchange: Exchange): Promise<void> {
  if (exchange.request.method !== 'GET') throw unsupported();
  const { entries, headers } = await readPage(exchange, (page) => meta.repositories(page));
  sendJson(exchange, 200, JSON.stringify({ repositories: entries }), headers);
}
