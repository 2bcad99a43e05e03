import type { Reference } from '#reference';
import { RegistryError } from './errors.ts';
import type { Host } from './hosts.ts';
import { pullScope } from './scopes.ts';
import type { Session } from './session.ts';
import type { CallOptions } from './types.ts';

const pageSize = 1000;
const maxPageBytes = 8 << 20;
/** An endless list of pages ends here. */
const maxPages = 1000;

/** A list that comes in pages. */
interface Listing {
  readonly target: string;
  readonly scope: string;
  /** The list's name in the answer's object. */
  readonly key: string;
  /** For messages: `list tags of app`. */
  readonly what: string;
}

/** distribution-spec v1.1 §listing-tags, page by page. */
export function listTags(
  session: Session,
  host: Host,
  reference: Reference,
  options: CallOptions,
): AsyncGenerator<string> {
  const target = `/v2/${reference.path}/tags/list?n=${pageSize}`;
  const what = `list tags of ${reference.path}`;
  return listPages(session, host, { target, scope: pullScope(reference), key: 'tags', what }, options);
}

/** Docker registry API §catalog, which the distribution-spec leaves to registries. */
export function listRepositories(session: Session, host: Host, options: CallOptions): AsyncGenerator<string> {
  const target = `/v2/_catalog?n=${pageSize}`;
  return listPages(
    session,
    host,
    { target, scope: 'registry:catalog:*', key: 'repositories', what: `list repositories of ${host.name}` },
    options,
  );
}

async function* listPages(
  session: Session,
  host: Host,
  { target: first, scope, key, what }: Listing,
  options: CallOptions,
): AsyncGenerator<string> {
  let target: string | URL | undefined = first;
  for (let page = 0; target !== undefined; page++) {
    if (page === maxPages) throw new RegistryError('unknown', `${what}: more than ${maxPages} pages`);
    const answer = await session.call(host, { ...options, method: 'GET', target, scopes: [scope], expect: [200] });
    yield* decodeNames(await answer.bytes(maxPageBytes, 'list of names'), key, what);
    target = nextPage(answer.header('link'), answer.url);
  }
}

function decodeNames(bytes: Buffer, key: string, what: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new RegistryError('unknown', `${what}: invalid JSON`, { cause });
  }
  const names = ((typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>)[key];
  if (names === null || names === undefined) return [];
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  throw new RegistryError('unknown', `${what}: not a list of names`);
}

/** RFC 8288: `<url>; rel="next"`; only on the host that was asked. */
export function nextPage(link: string | undefined, from: URL): URL | undefined {
  const match = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? '');
  const url = match ? URL.parse(match[1]!, from) : undefined;
  return url && url.host === from.host ? url : undefined;
}
