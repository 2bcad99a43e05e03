import { answerError } from './answers.ts';
import { type Basic, basicHeader, basicOf, fingerprint } from './credentials.ts';
import { RegistryError } from './errors.ts';
import type { HttpAnswer, HttpRequest } from './transport.ts';
import type { RegistryAuth } from './types.ts';

const clientID = 'docker';
const maxTokenBytes = 1 << 20;
/** Docker token specification §token-response-fields: a shorter life than this counts as this. */
const shortestLifeMs = 60_000;
/** A token this close to its end is not used for a request that may take a while. */
const marginMs = 10_000;
const maxCached = 512;

/** What a Bearer challenge asks for. */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly auth: RegistryAuth | undefined;
  /** Ask for an identity token, too: `login`. */
  readonly offline?: boolean;
}

export interface Token {
  readonly token: string;
  readonly refreshToken?: string;
}

/** Bearer tokens by realm, service, scopes and credentials, kept until shortly before they end. */
export class TokenCache {
  readonly #tokens = new Map<string, { pending: Promise<Token & { expiresMs: number }>; expiresMs: number }>();
  readonly #send: (request: HttpRequest) => Promise<HttpAnswer>;

  constructor(send: (request: HttpRequest) => Promise<HttpAnswer>) {
    this.#send = send;
  }

  async get(request: TokenRequest, options: { signal?: AbortSignal | undefined } = {}): Promise<Token> {
    const key = keyOf(request);
    const known = this.#tokens.get(key);
    if (known && !request.offline && known.expiresMs > Date.now() + marginMs) {
      try {
        return await known.pending;
      } catch (error) {
        options.signal?.throwIfAborted();
        // The one who asked first may have been aborted; that is not this caller's failure.
        if (error instanceof RegistryError) throw error;
      }
    }
    return await this.#fetch(key, request, options.signal);
  }

  /** The registry refused it: ask anew next time. */
  forget(request: TokenRequest): void {
    this.#tokens.delete(keyOf(request));
  }

  async #fetch(key: string, request: TokenRequest, signal: AbortSignal | undefined): Promise<Token> {
    const pending = this.#request(request, signal);
    const entry = { pending, expiresMs: Number.POSITIVE_INFINITY };
    this.#tokens.delete(key);
    this.#tokens.set(key, entry);
    if (this.#tokens.size > maxCached) this.#tokens.delete(this.#tokens.keys().next().value!);
    try {
      const token = await pending;
      entry.expiresMs = token.expiresMs;
      return token;
    } catch (error) {
      if (this.#tokens.get(key) === entry) this.#tokens.delete(key);
      throw error;
    }
  }

  async #request(request: TokenRequest, signal: AbortSignal | undefined): Promise<Token & { expiresMs: number }> {
    const refresh = request.auth?.identitytoken;
    const sent = refresh ? oauthRequest(request, refresh) : basicRequest(request, basicOf(request.auth));
    const answer = await this.#send({ ...sent, signal });
    if (answer.status < 200 || answer.status > 299) throw await answerError(answer);
    return decodeToken(await answer.bytes(maxTokenBytes, 'registry token'));
  }
}

function keyOf(request: TokenRequest): string {
  return JSON.stringify([request.realm.href, request.service, [...request.scopes].sort(), fingerprint(request.auth)]);
}

/** Docker token specification: GET with the scopes as query, Basic credentials when there are any. */
function basicRequest(request: TokenRequest, basic: Basic | undefined): HttpRequest {
  const url = new URL(request.realm);
  if (request.service) url.searchParams.set('service', request.service);
  for (const scope of request.scopes) url.searchParams.append('scope', scope);
  if (basic) url.searchParams.set('account', basic.username);
  if (request.offline) {
    url.searchParams.set('offline_token', 'true');
    url.searchParams.set('client_id', clientID);
  }
  return { method: 'GET', url, headers: basic ? { authorization: basicHeader(basic) } : {} };
}

/** Docker token specification, OAuth2: an identity token is a refresh token. */
function oauthRequest(request: TokenRequest, refreshToken: string): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: clientID,
    refresh_token: refreshToken,
    ...(request.service ? { service: request.service } : {}),
    ...(request.scopes.length > 0 ? { scope: request.scopes.join(' ') } : {}),
  });
  return {
    method: 'POST',
    url: request.realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  };
}

function decodeToken(bytes: Buffer): Token & { expiresMs: number } {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new RegistryError('unknown', 'unable to decode token response: invalid JSON', { cause });
  }
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const token = [fields['token'], fields['access_token']].find((text) => typeof text === 'string' && text !== '');
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new RegistryError('unknown', 'authorization server did not include a token in the response');
  }
  const lifeMs = typeof fields['expires_in'] === 'number' ? fields['expires_in'] * 1000 : 0;
  const refreshToken = fields['refresh_token'];
  return {
    token,
    ...(typeof refreshToken === 'string' && refreshToken !== '' ? { refreshToken } : {}),
    expiresMs: Date.now() + Math.max(shortestLifeMs, Number.isFinite(lifeMs) ? lifeMs : 0),
  };
}
