import type { AuthConfig } from '#api-types';
import {
  type ClientConfig,
  configPath,
  type Environment,
  readConfig,
  type StoredAuth,
  writeConfig,
} from './config-file.ts';
import { CredentialHelper, detectHelper } from './helpers.ts';
import { normaliseKey, storedKey } from './keys.ts';
import { configuredHelper } from './lookup.ts';

/** Where credentials went. */
export interface Kept {
  readonly place: string;
  readonly isPlainText: boolean;
}

/**
 * Keeps credentials for a host, or `host/path`: with the helper that is configured for it, else with one that is installed, else in `config.json`.
 * `plainText` asks for the file where no helper is configured.
 */
export async function keepCredentials(
  server: string,
  auth: AuthConfig,
  options: { environment: Environment; plainText: boolean },
): Promise<Kept> {
  const { environment, plainText } = options;
  const key = normaliseKey(server);
  const config = await readConfig(environment);
  const configured = configuredHelper(config, key);
  const name = configured ?? (plainText ? undefined : await detectHelper(environment));
  if (name === undefined) {
    const auths = { ...without(config.auths, key), [storedKey(key)]: entryOf(auth) };
    await writeConfig(environment, { ...config, auths });
    return { place: configPath(environment), isPlainText: true };
  }
  const helper = new CredentialHelper(name, environment);
  const { username = '', password = '', identitytoken } = auth;
  const secret = identitytoken ? { username: '<token>', secret: identitytoken } : { username, secret: password };
  await helper.store(storedKey(key), secret);
  await writeConfig(environment, withHelper(config, key, name));
  return { place: helper.program, isPlainText: false };
}

/** Forgets them wherever they are. */
export async function dropCredentials(server: string, environment: Environment): Promise<void> {
  const key = normaliseKey(server);
  const config = await readConfig(environment);
  const helper = configuredHelper(config, key);
  if (helper !== undefined) await new CredentialHelper(helper, environment).erase(storedKey(key));
  const auths = without(config.auths, key);
  if (Object.keys(auths).length !== Object.keys(config.auths ?? {}).length)
    await writeConfig(environment, { ...config, auths });
}

/** The file keeps an empty entry, as the docker CLI's does; what the helper has now is no longer in it. */
function withHelper(config: ClientConfig, key: string, name: string): ClientConfig {
  const auths = { ...without(config.auths, key), [storedKey(key)]: {} };
  if (config.credsStore === name && !key.includes('/')) return { ...config, auths };
  const isFirst = Object.keys(config.auths ?? {}).length === 0 && !config.credsStore && !config.credHelpers;
  // Others' entries in the file would be hidden by a store for everything.
  if (isFirst && !key.includes('/')) return { ...config, auths, credsStore: name };
  return { ...config, auths, credHelpers: { ...config.credHelpers, [storedKey(key)]: name } };
}

function without(auths: ClientConfig['auths'], key: string): Record<string, StoredAuth> {
  return Object.fromEntries(Object.entries(auths ?? {}).filter(([name]) => normaliseKey(name) !== key));
}

function entryOf({ username = '', password = '', identitytoken }: AuthConfig): StoredAuth {
  const text = identitytoken ? `${username}:` : `${username}:${password}`;
  return { auth: Buffer.from(text).toString('base64'), ...(identitytoken ? { identitytoken } : {}) };
}
