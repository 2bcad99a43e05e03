import type { IncomingMessage } from 'node:http';
import { ApiError } from '../api-error.ts';
import { type Access, type Action, actions, openAccess } from './access.ts';
import type { Htpasswd } from './htpasswd.ts';
import type { Policy } from './policy.ts';
import { type Claims, type Grant, grants, type TokenMint } from './tokens.ts';

export interface GateParts {
  readonly policy: Policy;
  readonly passwords: Htpasswd | undefined;
  readonly mint: TokenMint;
  /** What the registry is called in tokens. */
  readonly service: string;
  /** Where a client gets tokens. */
  readonly realmOf: (request: IncomingMessage) => string;
  /** False: clients are told to send their password with each request. */
  readonly useTokens: boolean;
}

/** Finds out who asks, and so what they may do. */
export class Gate {
  readonly #parts: GateParts;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** @throws ApiError `UNAUTHORIZED` for credentials that are wrong; none at all are an anonymous client. */
  async admit(request: IncomingMessage): Promise<Access> {
    const authorization = request.headers.authorization;
    if (authorization === undefined) return this.#access(request, undefined);
    const [scheme = '', value = ''] = authorization.split(/ +/, 2);
    if (scheme.toLowerCase() === 'basic') return this.#access(request, await this.userOf(value, request));
    if (scheme.toLowerCase() !== 'bearer') throw this.#unauthorized(request, 'unknown authentication scheme');
    const { mint, service: audience, passwords } = this.#parts;
    const claims = mint.verify(value, { nowMs: Date.now(), audience, use: 'access' });
    if (!claims) throw this.#unauthorized(request, 'invalid token', { error: 'invalid_token' });
    // Who was taken out of the file is out, whatever tokens are left.
    if (claims.sub !== '' && !(await passwords?.has(claims.sub))) throw this.#unauthorized(request, 'unknown user');
    return this.#access(request, claims.sub === '' ? undefined : claims.sub, claims);
  }

  /** The user of `user:password` in base64. @throws ApiError `UNAUTHORIZED`. */
  async userOf(encoded: string, request: IncomingMessage): Promise<string> {
    const text = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    const [user, password] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)];
    if (user !== '' && (await this.#parts.passwords?.isRight(user, password))) return user;
    throw this.#unauthorized(request, 'incorrect username or password');
  }

  #access(request: IncomingMessage, user: string | undefined, claims?: Claims): Access {
    const { policy } = this.#parts;
    const allowed = (action: Action, name: string) => policy.may(user, action, name);
    const may = (action: Action, name: string) =>
      allowed(action, name) && (!claims || grants(claims.access, action, name));
    return {
      user,
      hasAccounts: this.#parts.passwords !== undefined,
      may,
      visible: () => (name) => allowed('pull', name),
      require: (action, name) => {
        if (may(action, name)) return;
        const scope = `repository:${name}:${scopeActions(action)}`;
        // A token for something else: the client is to get one for this.
        if (allowed(action, name)) {
          throw this.#unauthorized(request, 'authentication required', { scope, error: 'insufficient_scope' });
        }
        const challenge = this.#unauthorized(request, 'authentication required', { scope });
        if (user === undefined && !claims) throw challenge;
        // An anonymous token was all the client could get: it is told so, and may still log in.
        const more = user === undefined ? { status: challenge.status, headers: challenge.headers } : {};
        const detail = { action, name };
        throw new ApiError('DENIED', 'requested access to the resource is denied', { detail, ...more });
      },
      requireLogin: (scope) => {
        if (user !== undefined || claims) return;
        throw this.#unauthorized(request, 'authentication required', scope === undefined ? {} : { scope });
      },
    };
  }

  #unauthorized(request: IncomingMessage, message: string, more: { scope?: string; error?: string } = {}): ApiError {
    const { useTokens, realmOf, service } = this.#parts;
    const fields = useTokens ? { realm: realmOf(request), service, ...more } : { realm: service };
    const shown = Object.entries(fields).map(([key, value]) => `${key}="${value.replace(/["\\]/g, '')}"`);
    return new ApiError('UNAUTHORIZED', message, {
      headers: { 'WWW-Authenticate': `${useTokens ? 'Bearer' : 'Basic'} ${shown.join(',')}` },
    });
  }

  /** What of the wanted scopes the user may have. */
  granted(user: string | undefined, wanted: readonly Grant[]): readonly Grant[] {
    const { policy } = this.#parts;
    return wanted.flatMap(({ type, name, actions: asked }) => {
      if (type === 'registry') return name === 'catalog' ? [{ type, name, actions: asked }] : [];
      if (type !== 'repository') return [];
      const all = asked.includes('*') ? actions : actions.filter((action) => asked.includes(action));
      const some = all.filter((action) => policy.may(user, action, name));
      return some.length > 0 ? [{ type, name, actions: some }] : [];
    });
  }
}

/** Who pushes also reads: one token for both. */
function scopeActions(action: Action): string {
  return action === 'push' ? 'pull,push' : action;
}

export type Admission = (request: IncomingMessage) => Promise<Access>;

export const openAdmission: Admission = async () => openAccess;
