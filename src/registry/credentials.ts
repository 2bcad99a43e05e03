import { createHash } from 'node:crypto';
import type { RegistryAuth } from './types.ts';

export interface Basic {
  readonly username: string;
  readonly password: string;
}

/** User name and password, also out of the `auth` field of Docker's config file. */
export function basicOf(auth: RegistryAuth | undefined): Basic | undefined {
  if (auth?.username) return { username: auth.username, password: auth.password ?? '' };
  if (!auth?.auth) return undefined;
  const text = Buffer.from(auth.auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon <= 0) return undefined;
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

export function basicHeader(basic: Basic): string {
  return `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`;
}

/** Tells callers' credentials apart in caches without keeping them. */
export function fingerprint(auth: RegistryAuth | undefined): string {
  if (!auth) return 'anonymous';
  const parts = [auth.username, auth.password, auth.auth, auth.identitytoken, auth.registrytoken];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
