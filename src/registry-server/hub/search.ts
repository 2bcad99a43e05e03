import { ApiError } from '../api-error.ts';
import { type Exchange, sendJson } from '../exchange.ts';
import type { Registry } from '../registry.ts';
import { version } from '../version.ts';

const defaultResults = 25;
const maxResults = 100;
const maxTermLength = 1024;

/** `GET /v1/_ping`: what Docker asks before it searches an index. */
export function ping(exchange: Exchange): void {
  sendJson(exchange, 200, JSON.stringify({ standalone: true }), {
    'X-Docker-Registry-Version': version,
    'X-Docker-Registry-Standalone': 'true',
  });
}

/** `GET /v1/search?q=…&n=…&page=…` as Docker's index answers it. */
export async function search({ meta }: Registry, exchange: Exchange): Promise<void> {
  const { searchParams } = exchange.url;
  const term = (searchParams.get('q') ?? '').slice(0, maxTermLength);
  const pageSize = Math.min(count(searchParams.get('n')) ?? defaultResults, maxResults);
  const page = count(searchParams.get('page')) ?? 1;
  const { total, entries } = await meta.search({
    words: wordsOf(term),
    offset: (page - 1) * pageSize,
    limit: pageSize,
    isVisible: exchange.access.visible(),
  });
  const answer = {
    query: term,
    num_results: total,
    num_pages: Math.ceil(total / pageSize),
    page,
    page_size: pageSize,
    results: entries.map((entry) => ({
      name: entry.name,
      description: entry.description,
      star_count: entry.stars,
      is_official: entry.isOfficial,
      is_automated: false,
      is_trusted: false,
      pull_count: entry.pulls,
    })),
  };
  sendJson(exchange, 200, JSON.stringify(answer));
}

/** Case does not matter to the index; a name is all small. */
export function wordsOf(term: string): readonly string[] {
  return term
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
}

function count(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new ApiError('PAGINATION_NUMBER_INVALID', 'invalid number of results requested', { detail: { n: text } });
  }
  return Number(text);
}
