import { readAll } from '#streams';
import { ApiError } from '../api-error.ts';
import { type Exchange, sendJson } from '../exchange.ts';
import type { Gate } from './gate.ts';
import { parseScopes, type TokenMint } from './tokens.ts';

export const tokenPath = '/wherry/registry/token';
const maxFormBytes = 64 << 10;
const refreshSeconds = 30 * 24 * 60 * 60;

export interface TokenService {
  readonly gate: Gate;
  readonly mint: TokenMint;
  readonly service: string;
  readonly lifetimeSeconds: number;
  readonly hasUser: (user: string) => Promise<boolean>;
}

/**
 * Docker's token authentication: `GET` with a password in `Authorization` or none, `POST` as OAuth 2 (grant types `password` and
 * `refresh_token`). A token may hold less than was asked for.
 */
export async function answerToken(parts: TokenService, exchange: Exchange): Promise<void> {
  const { method } = exchange.request;
  if (method !== 'GET' && method !== 'POST') throw new ApiError('UNSUPPORTED', 'The operation is unsupported.');
  const form = method === 'GET' ? exchange.url.searchParams : await readForm(exchange);
  const user = method === 'GET' ? exchange.access.user : await userOfForm(parts, exchange, form);
  const { mint, service, lifetimeSeconds } = parts;
  const nowMs = Date.now();
  const access = parts.gate.granted(user, parseScopes(form.getAll('scope')));
  const claims = { sub: user ?? '', aud: service };
  const token = mint.sign({ ...claims, access, use: 'access' }, { nowMs, lifetimeSeconds });
  const wantsRefresh =
    user !== undefined &&
    (method === 'GET' ? form.get('offline_token') === 'true' : form.get('access_type') === 'offline');
  const refresh = () =>
    mint.sign({ ...claims, access: [], use: 'refresh' }, { nowMs, lifetimeSeconds: refreshSeconds });
  const answer = {
    token,
    access_token: token,
    expires_in: lifetimeSeconds,
    issued_at: new Date(nowMs).toISOString(),
    ...(method === 'POST' ? { scope: form.get('scope') ?? '', token_type: 'Bearer' } : {}),
    ...(wantsRefresh ? { refresh_token: refresh() } : {}),
  };
  sendJson(exchange, 200, JSON.stringify(answer), { 'Cache-Control': 'no-store' });
}

async function readForm({ request }: Exchange): Promise<URLSearchParams> {
  return new URLSearchParams((await readAll(request, maxFormBytes)).toString('utf8'));
}

async function userOfForm(parts: TokenService, { request }: Exchange, form: URLSearchParams): Promise<string> {
  switch (form.get('grant_type')) {
    case 'password': {
      const pair = `${form.get('username') ?? ''}:${form.get('password') ?? ''}`;
      return await parts.gate.userOf(Buffer.from(pair).toString('base64'), request);
    }
    case 'refresh_token': {
      const token = form.get('refresh_token') ?? '';
      const claims = parts.mint.verify(token, { nowMs: Date.now(), audience: parts.service, use: 'refresh' });
      if (claims && (await parts.hasUser(claims.sub))) return claims.sub;
      throw new ApiError('UNAUTHORIZED', 'invalid refresh token');
    }
    default:
      throw new ApiError('UNSUPPORTED', 'unsupported grant type', { status: 400 });
  }
}
