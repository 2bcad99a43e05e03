import { EngineError } from '#errdefs';
import { answerError } from './answers.ts';
import { parseChallenges } from './challenge.ts';
import { basicHeader, basicOf } from './credentials.ts';
import { RegistryError } from './errors.ts';
import { type Endpoint, EndpointFinder, type Host, urlOf } from './hosts.ts';
import type { InsecureHosts } from './insecure.ts';
import { goVerb, withoutQuery } from './network-errors.ts';
import { withRetries } from './retry.ts';
import { TokenCache, type TokenRequest } from './tokens.ts';
import type { HttpAnswer, HttpRequest, Manner, Transport } from './transport.ts';
import type { CallOptions, RegistryAuth, RetryOptions } from './types.ts';

const maxRedirects = 10;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** One request of the registry's API, before authentication. */
export interface Call {
  readonly method: HttpRequest['method'];
  /** `/v2/…`, or a URL the registry gave (an upload's `Location`). */
  readonly target: string | URL;
  /** Docker token specification §scope: `repository:library/busybox:pull`. */
  readonly scopes: readonly string[];
  readonly auth?: RegistryAuth | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpRequest['body'];
  /** Statuses that are answers; any other is thrown as a RegistryError. */
  readonly expect: readonly number[];
  readonly onRetry?: CallOptions['onRetry'];
  readonly signal?: AbortSignal | undefined;
}

/** Requests with authentication, redirects and retries. A call whose body is a stream is sent once. */
export class Session {
  readonly #transport: Transport;
  readonly #insecure: InsecureHosts;
  readonly #retry: RetryOptions | undefined;
  readonly #endpoints: EndpointFinder;
  readonly #tokens: TokenCache;

  constructor(parts: { transport: Transport; insecure: InsecureHosts; retry?: RetryOptions | undefined }) {
    this.#transport = parts.transport;
    this.#insecure = parts.insecure;
    this.#retry = parts.retry;
    this.#endpoints = new EndpointFinder((request, manner) => parts.transport.send(request, manner));
    this.#tokens = new TokenCache((request) => this.#sendToRealm(request));
  }

  /** @throws RegistryError; `canceled` with the abort's reason. The answer's body is the caller's to read or discard. */
  async call(host: Host, call: Call): Promise<HttpAnswer> {
    const once = () => this.#expect(host, call);
    if (isStream(call.body)) return await once();
    return await withRetries(once, { retry: this.#retry, signal: call.signal, onRetry: call.onRetry });
  }

  /** The API's base, after asking which candidate answers. */
  endpoint(host: Host, signal: AbortSignal | undefined): Promise<Endpoint> {
    return this.#endpoints.find(host, signal);
  }

  /** A request outside any repository, as it is: `search`. */
  send(request: HttpRequest, manner: Manner): Promise<HttpAnswer> {
    return this.#transport.send(request, manner);
  }

  /** The token that a challenge asks for; `undefined` when there is no Bearer challenge. */
  async token(
    endpoint: Endpoint,
    call: Pick<Call, 'scopes' | 'auth' | 'signal'> & { offline?: boolean },
  ): Promise<{ token: string; refreshToken?: string } | undefined> {
    const request = tokenRequest(endpoint, call);
    return request ? await this.#tokens.get(request, { signal: call.signal }) : undefined;
  }

  async #expect(host: Host, call: Call): Promise<HttpAnswer> {
    try {
      const answer = await this.#authenticated(host, call);
      if (call.expect.includes(answer.status)) return answer;
      throw await answerError(answer);
    } catch (error) {
      // No answer: the host may be elsewhere by now.
      if (error instanceof RegistryError && error.status === undefined) this.#endpoints.forget(host);
      if (error instanceof RegistryError) error.asked ??= { host: host.name, scopes: call.scopes };
      throw error;
    }
  }

  /** A 401 in spite of our credentials means an old token or an unknown challenge: one more try with what the answer asks for. */
  async #authenticated(host: Host, call: Call): Promise<HttpAnswer> {
    const endpoint = await this.#endpoints.find(host, call.signal);
    const visible = host.isMirror ? { ...call, auth: undefined } : call;
    const answer = await this.#authorised(host, endpoint, visible);
    if (answer.status !== 401) return answer;
    if (isStream(call.body)) throw await this.#staleToken(endpoint, visible, answer);
    const challenges = parseChallenges(answer.header('www-authenticate'));
    if (challenges.length === 0 || answer.url.origin !== endpoint.origin) return answer;
    const isRefusal = challenges.some(({ scheme }) => scheme === 'basic') && endpoint.challenges.length > 0;
    if (isRefusal) return answer;
    await answer.discard();
    this.#forgetToken(endpoint, visible);
    const updated = { ...endpoint, challenges };
    this.#endpoints.update(host, updated);
    return await this.#authorised(host, updated, visible);
  }

  /** A stream cannot be sent again from here. Whoever can begin anew gets a fresh token then. */
  async #staleToken(endpoint: Endpoint, call: Call, answer: HttpAnswer): Promise<RegistryError> {
    this.#forgetToken(endpoint, call);
    const error = await answerError(answer);
    const retryable = endpoint.challenges.some(({ scheme }) => scheme === 'bearer');
    return new RegistryError(error.kind, error.message, { status: 401, diagnostics: error.diagnostics, retryable });
  }

  #forgetToken(endpoint: Endpoint, call: Call): void {
    const request = tokenRequest(endpoint, call);
    if (request) this.#tokens.forget(request);
  }

  async #authorised(host: Host, endpoint: Endpoint, call: Call): Promise<HttpAnswer> {
    const url = typeof call.target === 'string' ? urlOf(host, endpoint, call.target) : new URL(call.target);
    // Behind a TLS proxy some registries name themselves with http; credentials must not follow that.
    if (url.protocol === 'http:' && endpoint.origin === `https://${url.host}`) url.protocol = 'https:';
    const isHere = url.origin === endpoint.origin;
    const authorization = isHere ? await this.#authorization(endpoint, call, url) : undefined;
    const configured = isHere ? host.headers : undefined;
    const headers = { ...configured, ...call.headers, ...(authorization ? { authorization } : {}) };
    return await this.#following(
      { method: call.method, url, headers, body: call.body, signal: call.signal } as HttpRequest,
      endpoint,
      configured,
    );
  }

  async #authorization(endpoint: Endpoint, call: Call, url: URL): Promise<string | undefined> {
    if (call.auth?.registrytoken) return `Bearer ${call.auth.registrytoken}`;
    const schemes = endpoint.challenges.map(({ scheme }) => scheme);
    try {
      const token = await this.token(endpoint, call);
      if (token) return `Bearer ${token.token}`;
    } catch (error) {
      throw inRequest(error, call.method, url);
    }
    if (!schemes.includes('basic')) return undefined;
    const basic = basicOf(call.auth);
    if (basic) return basicHeader(basic);
    const missing = new RegistryError('unknown', 'no basic auth credentials', { status: 401 });
    // A push shows this without the request, as Docker does.
    throw url.pathname.includes('/blobs/') ? missing : inRequest(missing, call.method, url);
  }

  /** Only reads are redirected. What goes to another origin goes without credentials. */
  async #following(first: HttpRequest, endpoint: Endpoint, configured: Host['headers']): Promise<HttpAnswer> {
    let request = first;
    for (let hops = 0; ; hops++) {
      const isHere = request.url.origin === endpoint.origin;
      const manner = isHere ? endpoint : { verify: await this.#verifies(request.url) };
      const answer = await this.#transport.send(request, manner);
      const location = answer.header('location');
      if (!redirects.has(answer.status) || !location || !['GET', 'HEAD'].includes(first.method)) return answer;
      await answer.discard();
      if (hops === maxRedirects)
        throw new RegistryError(
          'unknown',
          `${goVerb(first.method)} "${withoutQuery(first.url)}": stopped after ${maxRedirects} redirects`,
        );
      const url = redirectTarget(location, request.url);
      const headers = url.origin === request.url.origin ? request.headers : plainHeaders(request.headers, configured);
      request = { ...request, url, ...(headers ? { headers } : {}) };
    }
  }

  async #sendToRealm(request: HttpRequest): Promise<HttpAnswer> {
    return await this.#transport.send(request, { verify: await this.#verifies(request.url) });
  }

  async #verifies(url: URL): Promise<boolean> {
    return !(await this.#insecure.includes(url.host));
  }
}

function tokenRequest(
  endpoint: Endpoint,
  call: Pick<Call, 'scopes' | 'auth'> & { offline?: boolean },
): TokenRequest | undefined {
  const bearer = endpoint.challenges.find(({ scheme }) => scheme === 'bearer');
  if (!bearer || call.auth?.registrytoken) return undefined;
  const realm = URL.parse(bearer.parameters.get('realm') ?? '', endpoint.origin);
  if (!realm || !/^https?:$/.test(realm.protocol)) {
    throw new RegistryError('unknown', "no valid realm in the registry's challenge");
  }
  const hasCredentials = call.auth?.identitytoken !== undefined || basicOf(call.auth) !== undefined;
  if (hasCredentials && realm.protocol === 'http:' && endpoint.origin.startsWith('https:')) {
    throw new EngineError('permission-denied', `refuse to send credentials in clear to ${realm.origin}`);
  }
  return {
    realm,
    service: bearer.parameters.get('service'),
    scopes: call.scopes,
    auth: call.auth,
    ...(call.offline ? { offline: true } : {}),
  };
}

/** Go's client names the request that a token was fetched for. */
function inRequest(error: unknown, method: string, url: URL): unknown {
  if (!(error instanceof RegistryError) || error.status === undefined) return error;
  return new RegistryError(error.kind, `${goVerb(method)} "${withoutQuery(url)}": ${error.message}`, {
    status: error.status,
    diagnostics: error.diagnostics,
    retryable: error.retryable,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    cause: error,
  });
}

function redirectTarget(location: string, from: URL): URL {
  const url = URL.parse(location, from);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new RegistryError('unknown', `follow redirect from ${from.origin}: not an HTTP address`);
  }
  return url;
}

/** Neither credentials nor what an administrator configured for the host before. */
function plainHeaders(headers: HttpRequest['headers'], configured: Host['headers']): HttpRequest['headers'] {
  const secret = new Set(['authorization', ...Object.keys(configured ?? {})]);
  return Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !secret.has(name.toLowerCase())));
}

function isStream(body: Call['body']): boolean {
  return body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
}
