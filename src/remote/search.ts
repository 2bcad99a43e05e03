import { EngineError } from '#errdefs';
import { RegistryError, type SearchResult } from '#registry';
import type { RemoteCall } from './types.ts';

const defaultLimit = 25;
const maxLimit = 100;

export interface SearchOptions {
  readonly limit?: number | undefined;
  readonly isOfficial?: boolean | undefined;
  readonly isAutomated?: boolean | undefined;
  readonly minStars?: number | undefined;
}

/**
 * Searches Docker Hub (`term`) or another registry (`host/term`). A registry without a search has its repositories' names looked through, where it
 * tells them.
 */
export async function searchRemote(
  call: RemoteCall,
  term: string,
  options: SearchOptions = {},
): Promise<readonly SearchResult[]> {
  const { limit = defaultLimit, isOfficial, isAutomated, minStars = 0 } = options;
  if (limit < 1 || limit > maxLimit)
    throw new EngineError('invalid-argument', `limit ${limit} is outside the range of [1, ${maxLimit}]`);
  const found = await findNames(call, term, limit);
  return found.filter(
    (result) =>
      (isOfficial === undefined || result.is_official === isOfficial) &&
      (isAutomated === undefined || result.is_automated === isAutomated) &&
      result.star_count >= minStars,
  );
}

async function findNames(call: RemoteCall, term: string, limit: number): Promise<readonly SearchResult[]> {
  try {
    return await call.registry.search(term, { ...call, limit });
  } catch (error) {
    const slash = term.indexOf('/');
    if (!(error instanceof RegistryError) || error.status !== 404 || slash < 0) throw error;
    return await searchCatalog(call, term.slice(0, slash), term.slice(slash + 1), limit, error);
  }
}

async function searchCatalog(
  call: RemoteCall,
  domain: string,
  words: string,
  limit: number,
  searchFailure: RegistryError,
): Promise<readonly SearchResult[]> {
  const wanted = words.toLowerCase();
  const found: SearchResult[] = [];
  try {
    for await (const name of call.registry.repositories(domain, call)) {
      if (!name.toLowerCase().includes(wanted)) continue;
      found.push({ name, description: '', star_count: 0, is_official: false, is_automated: false });
      if (found.length === limit) break;
    }
  } catch (cause) {
    if (!(cause instanceof RegistryError) || cause.status === undefined) throw cause;
    throw new EngineError(
      'not-implemented',
      `${domain} has no search (${searchFailure.message}), and does not tell its repositories (${cause.message})`,
      {
        cause,
      },
    );
  }
  return found;
}
