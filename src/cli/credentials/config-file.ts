import { mkdir, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { readBounded, writeAtomic } from '#files';

const maxConfigBytes = 4 << 20;

export type Environment = Readonly<Record<string, string | undefined>>;

/** One registry's entry of `auths`. */
export interface StoredAuth {
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
  readonly username?: string;
  readonly password?: string;
}

/** The docker CLI's `config.json`, as far as credentials go. What else is in it stays as it is. */
export interface ClientConfig {
  readonly auths?: Readonly<Record<string, StoredAuth>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

/** Of the docker CLI, so that both know the same registries. */
export function configPath(environment: Environment): string {
  return join(environment['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json');
}

/** Empty when there is no file. @throws `invalid-argument` for what is not JSON. */
export async function readConfig(environment: Environment): Promise<ClientConfig> {
  const path = configPath(environment);
  const bytes = await readBounded(path, maxConfigBytes);
  if (!bytes || bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw new EngineError('invalid-argument', `${path}: not JSON`, { cause });
  }
  throw new EngineError('invalid-argument', `${path}: not an object`);
}

/** Replaces the file whole, for its owner alone to read; a link to it stays a link. */
export async function writeConfig(environment: Environment, config: ClientConfig): Promise<void> {
  const path = configPath(environment);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeAtomic(await target(path), `${JSON.stringify(config, undefined, '\t')}\n`, { mode: 0o600 });
}

async function target(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return path;
    throw error;
  }
}
