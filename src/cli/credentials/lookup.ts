import type { AuthConfig } from '#api-types';
import { type ClientConfig, configPath, type Environment, readConfig, type StoredAuth } from './config-file.ts';
import { CredentialHelper } from './helpers.ts';
import { candidateKeys, normaliseKey, storedKey } from './keys.ts';

/** What is sent to a registry, and where it was found. */
export interface FoundCredentials {
  readonly auth: AuthConfig;
  /** For messages: a file, a helper's program, or `none`. */
  readonly source: string;
}

const none: FoundCredentials = { auth: {}, source: 'none' };

/** Credentials for a reference's repository from the client's `config.json` and its credential helpers; empty when there are none. */
export async function credentialsFor(reference: string, environment: Environment): Promise<AuthConfig> {
  return (await findCredentials(reference, environment)).auth;
}

/** The same, and where they are from. */
export async function findCredentials(reference: string, environment: Environment): Promise<FoundCredentials> {
  return await lookUp(candidateKeys(reference), environment);
}

/** Those of a registry's host, or of `host/path` alone. */
export async function storedCredentials(server: string, environment: Environment): Promise<FoundCredentials> {
  return await lookUp([normaliseKey(server)], environment);
}

/** The narrowest key wins, wherever it is kept; a helper without an answer leaves the file's. */
async function lookUp(keys: readonly string[], environment: Environment): Promise<FoundCredentials> {
  const config = await readConfig(environment);
  const helpers = byKey(config.credHelpers);
  const auths = byKey(config.auths);
  for (const key of keys) {
    // The store of everything else is asked by host: a question is a process.
    const helper = helpers.get(key) ?? (key.includes('/') ? undefined : config.credsStore);
    const found = (helper && (await fromHelper(helper, key, environment))) || fromFile(auths.get(key), key);
    if (found) return { source: configPath(environment), ...found };
  }
  return none;
}

function byKey<T>(entries: Readonly<Record<string, T>> | undefined): ReadonlyMap<string, T> {
  return new Map(Object.entries(entries ?? {}).map(([key, value]) => [normaliseKey(key), value]));
}

async function fromHelper(name: string, key: string, environment: Environment): Promise<FoundCredentials | undefined> {
  const helper = new CredentialHelper(name, environment);
  const server = storedKey(key);
  const found = await helper.get(server);
  if (!found) return undefined;
  const { username, secret } = found;
  const auth = username === '<token>' ? { identitytoken: secret } : { username, password: secret };
  return { auth: { ...auth, serveraddress: server }, source: helper.program };
}

function fromFile(entry: StoredAuth | undefined, key: string): Omit<FoundCredentials, 'source'> | undefined {
  if (!entry) return undefined;
  const [username = '', ...password] = Buffer.from(entry.auth ?? '', 'base64')
    .toString('utf8')
    .split(':');
  const auth: AuthConfig = {
    username: entry.username ?? username,
    password: entry.password ?? password.join(':'),
    serveraddress: storedKey(key),
    ...(entry.identitytoken ? { identitytoken: entry.identitytoken } : {}),
    ...(entry.registrytoken ? { registrytoken: entry.registrytoken } : {}),
  };
  // The docker CLI leaves an empty entry for what a helper keeps.
  const isEmpty = !auth.username && !auth.identitytoken && !auth.registrytoken;
  return isEmpty ? undefined : { auth };
}

/** The helper that keeps a key's credentials by configuration. */
export function configuredHelper(config: ClientConfig, key: string): string | undefined {
  return byKey(config.credHelpers).get(key) ?? config.credsStore;
}
