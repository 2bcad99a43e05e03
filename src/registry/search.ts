import { EngineError } from '#errdefs';
import { answerError } from './answers.ts';
import { basicHeader, basicOf } from './credentials.ts';
import { RegistryError } from './errors.ts';
import type { Endpoint, Host } from './hosts.ts';
import { withRetries } from './retry.ts';
import type { Session } from './session.ts';
import type { CallOptions, RetryOptions, SearchResult } from './types.ts';

const defaultLimit = 25;
const maxLimit = 100;
const maxAnswerBytes = 4 << 20;
/** Docker token specification §scope, as Docker asks for it. */
const searchScope = 'registry:catalog:search';

/** The v1 search API, which Docker Hub keeps: `docker search term`, or `host/term` on another index. */
export async function search(
  session: Session,
  parts: { own: (domain: string) => Promise<Host>; retry: RetryOptions | undefined },
  term: string,
  options: CallOptions & { limit?: number },
): Promise<readonly SearchResult[]> {
  const limit = options.limit || defaultLimit;
  if (limit < 1 || limit > maxLimit) {
    throw new EngineError('invalid-argument', `limit ${limit} is outside the range of [1, ${maxLimit}]`);
  }
  const { domain, words } = splitTerm(term);
  const endpoint = await searchEndpoint(session, parts.own, domain, options.signal);
  const url = new URL(`/v1/search?${new URLSearchParams({ q: words, n: String(limit) })}`, endpoint.origin);
  const authorization = await authorizationOf(session, endpoint, options);
  const headers = {
    ...endpoint.headers,
    'x-docker-token': 'true',
    ...(authorization === undefined ? {} : { authorization }),
  };
  const request = { method: 'GET' as const, url, headers, signal: options.signal };
  return await withRetries(
    async () => {
      const answer = await session.send(request, endpoint);
      if (answer.status !== 200) {
        const { retryable, status } = await answerError(answer);
        const told = `Unexpected status code ${answer.status}`;
        const refusal = new RegistryError('unknown', told, { retryable, status: status ?? answer.status });
        refusal.asked = { host: domain, scopes: [searchScope] };
        throw refusal;
      }
      return decodeResults(await answer.bytes(maxAnswerBytes, 'search results')).slice(0, limit);
    },
    { retry: parts.retry, signal: options.signal },
  );
}

/** The first part is a host when it has a dot or a colon, or is `localhost`. */
function splitTerm(term: string): { domain: string; words: string } {
  if (/^https?:\/\//.test(term)) {
    throw new EngineError(
      'invalid-argument',
      `invalid repository name: repository name (${term}) should not have a scheme`,
    );
  }
  const slash = term.indexOf('/');
  const first = term.slice(0, Math.max(0, slash));
  if (slash < 0 || !(/[.:]/.test(first) || first === 'localhost')) return { domain: 'docker.io', words: term };
  const words = term.slice(slash + 1);
  return first === 'docker.io' || first === 'index.docker.io'
    ? { domain: 'docker.io', words: words.replace(/^library\//, '') }
    : { domain: first, words };
}

async function searchEndpoint(
  session: Session,
  own: (domain: string) => Promise<Host>,
  domain: string,
  signal: AbortSignal | undefined,
): Promise<Endpoint & { headers?: Host['headers'] }> {
  if (domain === 'docker.io') return { origin: 'https://index.docker.io', verify: true, challenges: [] };
  const host = await own(domain);
  return { ...(await session.endpoint(host, signal)), headers: host.headers };
}

/** A password goes along unasked, as Docker does; who has only an identity token gets one for this by it. */
async function authorizationOf(
  session: Session,
  endpoint: Endpoint,
  { auth, signal }: CallOptions,
): Promise<string | undefined> {
  if (auth?.identitytoken) {
    const token = await session.token(endpoint, { scopes: [searchScope], auth, signal });
    if (token) return `Bearer ${token.token}`;
  }
  const basic = basicOf(auth);
  return basic && basicHeader(basic);
}

function decodeResults(bytes: Buffer): readonly SearchResult[] {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new RegistryError('unknown', 'error decoding registry search results: invalid JSON', { cause });
  }
  const { results } = (typeof value === 'object' && value !== null ? value : {}) as { results?: unknown };
  return Array.isArray(results) ? results.map(decodeResult) : [];
}

function decodeResult(value: unknown): SearchResult {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '');
  return {
    name: text('name'),
    description: text('description'),
    star_count: typeof fields['star_count'] === 'number' ? fields['star_count'] : 0,
    is_official: fields['is_official'] === true,
    is_automated: fields['is_automated'] === true,
  };
}
