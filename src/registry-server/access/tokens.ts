import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Action } from './access.ts';

/** One repository and what may be done in it; `registry:catalog:*` is the type `registry`. */
export interface Grant {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export interface Claims {
  /** Empty for anonymous clients. */
  readonly sub: string;
  readonly aud: string;
  readonly exp: number;
  readonly access: readonly Grant[];
  /** What it is for: asking the registry, or asking for tokens. */
  readonly use: 'access' | 'refresh';
}

const header = encode({ alg: 'HS256', typ: 'JWT' });

/** Makes and checks tokens (JWT, RFC 7519) that only this registry has to understand. */
export class TokenMint {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  sign(claims: Omit<Claims, 'exp'>, options: { nowMs: number; lifetimeSeconds: number }): string {
    const issued = Math.floor(options.nowMs / 1000);
    const times = { iat: issued, nbf: issued - 10, exp: issued + options.lifetimeSeconds };
    const body = `${header}.${encode({ ...claims, ...times, iss: claims.aud, jti: randomUUID() })}`;
    return `${body}.${this.#mac(body).toString('base64url')}`;
  }

  /** The claims of a token that was signed here and has not run out. */
  verify(token: string, options: { nowMs: number; audience: string; use: Claims['use'] }): Claims | undefined {
    const [head, payload, signature, ...rest] = token.split('.');
    if (head !== header || payload === undefined || signature === undefined || rest.length > 0) return undefined;
    const given = Buffer.from(signature, 'base64url');
    const right = this.#mac(`${head}.${payload}`);
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Claims;
    const isValid = claims.exp * 1000 > options.nowMs && claims.aud === options.audience && claims.use === options.use;
    return isValid ? claims : undefined;
  }

  #mac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Docker's token specification §scope: `repository:team/app:pull,push`, several by spaces or parameters. */
export function parseScopes(scopes: readonly string[]): readonly Grant[] {
  return scopes
    .flatMap((scope) => scope.split(' '))
    .flatMap((scope) => {
      const match = /^([a-z0-9]+)(?:\([^)]*\))?:(.+):([A-Za-z*,]+)$/.exec(scope);
      return match ? [{ type: match[1]!, name: match[2]!, actions: match[3]!.split(',') }] : [];
    });
}

export function grants(access: readonly Grant[], action: Action, name: string): boolean {
  return access.some((grant) => grant.type === 'repository' && grant.name === name && grant.actions.includes(action));
}
