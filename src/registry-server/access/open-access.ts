import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { AccessConfig } from '../config/config.ts';
import type { MetaStore } from '../store/meta-store.ts';
import { type Admission, Gate, openAdmission } from './gate.ts';
import { Htpasswd } from './htpasswd.ts';
import { Policy } from './policy.ts';
import { type TokenService, tokenPath } from './token-service.ts';
import { TokenMint } from './tokens.ts';

export interface Accounts extends AsyncDisposable {
  readonly admit: Admission;
  /** Absent where no tokens are given out. */
  readonly tokens: TokenService | undefined;
}

/** What the configuration says about who may do what; without it everybody may do everything. */
export async function openAccounts(
  config: AccessConfig | undefined,
  parts: { meta: MetaStore; originOf: (request: IncomingMessage) => string },
): Promise<Accounts> {
  if (!config) return { admit: openAdmission, tokens: undefined, [Symbol.asyncDispose]: async () => {} };
  const { service, useTokens, tokenSeconds } = config;
  const passwords = config.htpasswd === undefined ? undefined : await Htpasswd.open(config.htpasswd);
  // Kept, so that tokens outlive a restart, and other servers on the same store take them.
  const key = await parts.meta.keepSetting('token-key', randomBytes(32).toString('base64'));
  const mint = new TokenMint(Buffer.from(key, 'base64'));
  const realmOf = (request: IncomingMessage) => `${parts.originOf(request)}${tokenPath}`;
  const gate = new Gate({ policy: new Policy(config.rules), passwords, mint, service, realmOf, useTokens });
  const hasUser = async (user: string) => (await passwords?.has(user)) ?? false;
  return {
    admit: (request) => gate.admit(request),
    tokens: useTokens ? { gate, mint, service, lifetimeSeconds: tokenSeconds, hasUser } : undefined,
    [Symbol.asyncDispose]: async () => {
      await passwords?.[Symbol.asyncDispose]();
    },
  };
}
