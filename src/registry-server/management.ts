import { readAll } from '#streams';
import { ApiError } from './api-error.ts';
import { type Exchange, sendEmpty, sendJson } from './exchange.ts';
import { maxReadmeLength, oneLine } from './hub/describe.ts';
import type { Registry } from './registry.ts';
import { requireName } from './repository-name.ts';
import type { Deleted } from './store/meta-store.ts';

const maxBodyBytes = 1 << 20;
/** Who gives stars where nobody has a name. */
const nobody = 'anonymous';

/** What the registry API has no words for, below `/wherry/registry/`. Answers whether the path is known. */
export async function manage(registry: Registry, exchange: Exchange, path: string): Promise<boolean> {
  const match = /^(repositories|stars)\/(.+)$/.exec(path);
  const method = exchange.request.method ?? '';
  if (match) {
    const [, kind, name] = match as unknown as [string, string, string];
    requireName(name);
    if (kind === 'stars') await star(registry, exchange, name, method);
    else if (method === 'PUT') await describe(registry, exchange, name);
    else if (method === 'GET') await show(registry, exchange, name);
    else throw unsupported();
  } else if (path === 'deleted' && method === 'GET') {
    await listDeleted(registry, exchange);
  } else if (path === 'scrub' && (method === 'GET' || method === 'POST')) {
    scrub(registry, exchange, method);
  } else if (path === 'restore' && method === 'POST') {
    await restore(registry, exchange);
  } else {
    return false;
  }
  return true;
}

async function show({ meta }: Registry, exchange: Exchange, name: string): Promise<void> {
  exchange.access.require('pull', name);
  const entry = await meta.entry(name);
  if (!entry) throw unknownName(name);
  const { createdMs, pushedMs, ...words } = entry;
  const isStarred = await meta.isStarred(name, exchange.access.user ?? nobody);
  const times = { created: new Date(createdMs).toISOString(), pushed: new Date(pushedMs).toISOString() };
  sendJson(exchange, 200, JSON.stringify({ ...words, ...times, isStarred }));
}

async function describe({ meta }: Registry, exchange: Exchange, name: string): Promise<void> {
  Object.assign(exchange.facts, { action: 'describe', repository: name });
  exchange.access.require('push', name);
  const { description, readme } = decodeTexts(await readAll(exchange.request, maxBodyBytes), ['description', 'readme']);
  const words = {
    ...(description === undefined ? {} : { description: oneLine(description) }),
    ...(readme === undefined ? {} : { readme: readme.slice(0, maxReadmeLength) }),
  };
  if (!(await meta.describe(name, words))) throw unknownName(name);
  sendEmpty(exchange, 204);
}

async function star({ meta }: Registry, exchange: Exchange, name: string, method: string): Promise<void> {
  if (method !== 'PUT' && method !== 'DELETE') throw unsupported();
  Object.assign(exchange.facts, { action: 'star', repository: name });
  exchange.access.require('pull', name);
  if (!(await meta.star(name, exchange.access.user ?? nobody, method === 'PUT'))) throw unknownName(name);
  sendEmpty(exchange, 204);
}

/** Who may delete everywhere may have all of it looked through, and see what came of it. */
function scrub({ scrub }: Registry, exchange: Exchange, method: string): void {
  exchange.access.require('delete', '*');
  if (method === 'POST') scrub.start();
  const answer = { isRunning: scrub.isRunning, last: scrub.last ?? null };
  sendJson(exchange, method === 'POST' ? 202 : 200, JSON.stringify(answer));
}

async function listDeleted({ meta, retention }: Registry, exchange: Exchange): Promise<void> {
  const wanted = exchange.url.searchParams.get('repository');
  const deleted = (await meta.deleted())
    .filter(({ repository }) => wanted === null || repository === wanted)
    .filter(({ repository }) => exchange.access.may('delete', repository))
    .map(({ deletedMs, ...what }) => ({
      ...what,
      deleted: new Date(deletedMs).toISOString(),
      restorableUntil: new Date(deletedMs + retention.undoMs).toISOString(),
    }));
  sendJson(exchange, 200, JSON.stringify({ deleted }));
}

async function restore({ meta }: Registry, exchange: Exchange): Promise<void> {
  const body = decodeTexts(await readAll(exchange.request, maxBodyBytes), ['repository', 'kind', 'reference']);
  const { repository = '', kind = '', reference = '' } = body;
  requireName(repository);
  Object.assign(exchange.facts, { action: 'restore', repository, reference });
  exchange.access.require('delete', repository);
  if (!isDeletedKind(kind)) throw new ApiError('UNSUPPORTED', 'kind is tag, manifest or blob', { status: 400 });
  if (!(await meta.restore(repository, kind, reference))) {
    throw new ApiError('MANIFEST_UNKNOWN', 'nothing to restore', { detail: { repository, kind, reference } });
  }
  exchange.facts.event = { kind: 'restored', repository };
  sendEmpty(exchange, 204);
}

function isDeletedKind(kind: string): kind is Deleted['kind'] {
  return kind === 'tag' || kind === 'manifest' || kind === 'blob';
}

/** An object of texts, and no other fields. */
function decodeTexts<K extends string>(bytes: Buffer, known: readonly K[]): Partial<Record<K, string>> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    value = undefined;
  }
  const isRight =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(
      ([key, text]) => (known as readonly string[]).includes(key) && typeof text === 'string',
    );
  if (isRight) return value as Partial<Record<K, string>>;
  throw new ApiError('UNSUPPORTED', `want a JSON object of texts: ${known.join(', ')}`, { status: 400 });
}

function unknownName(name: string): ApiError {
  return new ApiError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
}

function unsupported(): ApiError {
  return new ApiError('UNSUPPORTED', 'The operation is unsupported.');
}
