import type { Access, Action } from './access/access.ts';
import { ApiError } from './api-error.ts';
import { deleteBlob, readBlob } from './blobs.ts';
import { type Exchange, readPage, requireDigest, sendJson } from './exchange.ts';
import { deleteManifest, listReferrers, readManifest, writeManifest } from './manifests.ts';
import type { Registry } from './registry.ts';
import { requireName } from './repository-name.ts';
import type { MetaStore, Page } from './store/meta-store.ts';

const catalogStep = 1000;

type Handler = (registry: Registry, exchange: Exchange, name: string, rest: string) => Promise<void>;

/** A handler and what one must be allowed to do for it. */
interface Entry {
  readonly action: Action;
  readonly handle: Handler;
}

const pull = (handle: Handler): Entry => ({ action: 'pull', handle });
const push = (handle: Handler): Entry => ({ action: 'push', handle });
const remove = (handle: Handler): Entry => ({ action: 'delete', handle });

const getBlob = pull((registry, exchange, name, text) => readBlob(registry, exchange, name, requireDigest(text)));
const getManifest = pull(readManifest);

/** Paths below `/v2/<name>/`, each with its methods. The first that fits counts; names may themselves contain such words. */
const table: readonly (readonly [RegExp, Readonly<Record<string, Entry>>])[] = [
  [/^\/v2\/(.+)\/blobs\/uploads\/?$/, { POST: push(({ uploads }, exchange, name) => uploads.begin(exchange, name)) }],
  [
    /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/,
    {
      GET: push(({ uploads }, exchange, name, id) => uploads.status(exchange, name, id)),
      PATCH: push(({ uploads }, exchange, name, id) => uploads.append(exchange, name, id)),
      PUT: push(({ uploads }, exchange, name, id) => uploads.finish(exchange, name, id)),
      DELETE: push(({ uploads }, exchange, name, id) => uploads.cancel(exchange, name, id)),
    },
  ],
  [
    /^\/v2\/(.+)\/blobs\/([^/]+)$/,
    {
      GET: getBlob,
      HEAD: getBlob,
      DELETE: remove((registry, exchange, name, text) => deleteBlob(registry, exchange, name, requireDigest(text))),
    },
  ],
  [
    /^\/v2\/(.+)\/manifests\/([^/]+)$/,
    { GET: getManifest, HEAD: getManifest, PUT: push(writeManifest), DELETE: remove(deleteManifest) },
  ],
  [/^\/v2\/(.+)\/tags\/list$/, { GET: pull(listTags), HEAD: pull(listTags) }],
  [/^\/v2\/(.+)\/referrers\/([^/]+)$/, { GET: pull(listReferrers), HEAD: pull(listReferrers) }],
];

/** Answers what is below `/v2/`. @throws ApiError for the server to word. */
export async function route(registry: Registry, exchange: Exchange, path: string): Promise<void> {
  const method = exchange.request.method ?? 'GET';
  if (path === '/v2/' || path === '/v2') return ping(exchange);
  if (path === '/v2/_catalog') return await catalog(registry, exchange);
  for (const [pattern, methods] of table) {
    const match = pattern.exec(path);
    if (!match) continue;
    const [, asked, rest = ''] = match as unknown as [string, string, string?];
    requireName(asked);
    const entry = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (!entry) throw unsupported();
    const name = localName(registry, exchange, asked);
    if (entry.action === 'push' && registry.upstreams?.upstreamOf(name)) throw isCopy(name);
    Object.assign(exchange.facts, { action: entry.action, repository: name, reference: rest });
    exchange.access.require(entry.action, name);
    return await entry.handle(registry, exchange, name, rest);
  }
  throw new ApiError('UNSUPPORTED', 'The operation is unsupported.', { status: 404 });
}

function localName({ upstreams }: Registry, { url, response }: Exchange, asked: string): string {
  const namespace = url.searchParams.get('ns');
  const local = upstreams?.localName(asked, namespace);
  if (local === undefined) return asked;
  response.setHeader('OCI-Namespace', namespace!);
  return local;
}

function isCopy(name: string): ApiError {
  return new ApiError('UNSUPPORTED', `${name} is a copy of a repository elsewhere`);
}

/** Where a client learns how to say who it is. */
function ping(exchange: Exchange): void {
  requireRead(exchange);
  exchange.access.requireLogin();
  sendJson(exchange, 200, '{}');
}

function requireRead({ request }: Exchange): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw unsupported();
}

function unsupported(): ApiError {
  return new ApiError('UNSUPPORTED', 'The operation is unsupported.');
}

async function listTags({ meta, upstreams }: Registry, exchange: Exchange, name: string): Promise<void> {
  const upstream = upstreams?.upstreamOf(name);
  const all = upstreams && upstream ? await upstreams.tags(name, upstream) : undefined;
  if (!all?.length && !(await meta.hasRepository(name))) {
    throw new ApiError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
  }
  const list = all ? async (page: Page) => pageOf(all, page) : (page: Page) => meta.tags(name, page);
  const { entries, headers } = await readPage(exchange, list);
  sendJson(exchange, 200, JSON.stringify({ name, tags: entries }), headers);
}

function pageOf(all: readonly string[], { after = '', limit = Number.POSITIVE_INFINITY }: Page): readonly string[] {
  return all.filter((entry) => entry > after).slice(0, limit);
}

async function catalog({ meta }: Registry, exchange: Exchange): Promise<void> {
  requireRead(exchange);
  // Clients that have credentials send them only when they are asked to.
  exchange.access.requireLogin('registry:catalog:*');
  const { entries, headers } = await readPage(exchange, (page) => visibleNames(meta, exchange.access, page));
  sendJson(exchange, 200, JSON.stringify({ repositories: entries }), headers);
}

/** A page of the names the client may know of, however many others lie between them. */
async function visibleNames(meta: MetaStore, access: Access, page: Page): Promise<readonly string[]> {
  const isVisible = access.visible();
  if (!isVisible) return await meta.repositories(page);
  const wanted = page.limit ?? Number.POSITIVE_INFINITY;
  const names: string[] = [];
  for (let after = page.after; names.length < wanted; ) {
    const found = await meta.repositories({ after, limit: catalogStep });
    names.push(...found.filter(isVisible));
    after = found.at(-1);
    if (found.length < catalogStep) break;
  }
  return names.slice(0, wanted);
}
