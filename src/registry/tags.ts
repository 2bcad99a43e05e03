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

/** distribution-spec v1.1 §listing-tags, page by page. */
export async function* listTags(
  session: Session,
  host: Host,
  reference: Reference,
  options: CallOptions,
): AsyncGenerator<string> {
  let target: string | URL | undefined = `/v2/${reference.path}/tags/list?n=${pageSize}`;
  for (let page = 0; target !== undefined; page++) {
    if (page === maxPages)
      throw new RegistryError('unknown', `list tags of ${reference.path}: more than ${maxPages} pages`);
    const answer = await session.call(host, {
      ...options,
      method: 'GET',
      target,
      scopes: [pullScope(reference)],
      expect: [200],
    });
    const bytes = await answer.bytes(maxPageBytes, 'tag list');
    yield* decodeTags(bytes, reference);
    target = nextPage(answer.header('link'), answer.url);
  }
}

function decodeTags(bytes: Buffer, reference: Reference): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new RegistryError('unknown', `list tags of ${reference.path}: invalid JSON`, { cause });
  }
  const { tags } = (typeof value === 'object' && value !== null ? value : {}) as { tags?: unknown };
  if (tags === null || tags === undefined) return [];
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')) return tags;
  throw new RegistryError('unknown', `list tags of ${reference.path}: not a list of tags`);
}

/** RFC 8288: `<url>; rel="next"`; only on the host that was asked. */
function nextPage(link: string | undefined, from: URL): URL | undefined {
  const match = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? '');
  const url = match ? URL.parse(match[1]!, from) : undefined;
  return url && url.host === from.host ? url : undefined;
}
