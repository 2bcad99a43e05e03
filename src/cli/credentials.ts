import { spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { AuthConfig } from '#api-types';
import { EngineError } from '#errdefs';
import { readBounded } from '#files';
import { parseReference } from '#reference';
import { readAll } from '#streams';

const maxConfigBytes = 4 << 20;
const hubKey = 'https://index.docker.io/v1/';

interface ClientConfig {
  readonly auths?: Readonly<
    Record<string, { auth?: string; identitytoken?: string; username?: string; password?: string }>
  >;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

/** Credentials for a reference's registry from the client's `config.json` and its credential helpers; empty when there are none. */
export async function credentialsFor(
  reference: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<AuthConfig> {
  const config = await readConfig(environment);
  const domain = parseReference(reference).domain;
  const key = domain === 'docker.io' ? hubKey : domain;
  const helper = config.credHelpers?.[key] ?? config.credsStore;
  if (helper) return (await askHelper(helper, key)) ?? {};
  const entry = config.auths?.[key] ?? config.auths?.[`https://${key}`];
  if (!entry) return {};
  const [username = '', ...password] = Buffer.from(entry.auth ?? '', 'base64')
    .toString('utf8')
    .split(':');
  return {
    username: entry.username ?? username,
    password: entry.password ?? password.join(':'),
    serveraddress: key,
    ...(entry.identitytoken ? { identitytoken: entry.identitytoken } : {}),
  };
}

async function readConfig(environment: Readonly<Record<string, string | undefined>>): Promise<ClientConfig> {
  const folder = environment['DOCKER_CONFIG'] ?? join(homedir(), '.docker');
  const path = join(folder, 'config.json');
  const bytes = await readBounded(path, maxConfigBytes);
  if (!bytes) return {};
  try {
    return JSON.parse(bytes.toString('utf8')) as ClientConfig;
  } catch (cause) {
    throw new EngineError('invalid-argument', `${path}: not JSON`, { cause });
  }
}

/** The helpers' protocol: server address on standard input, JSON on standard output. */
async function askHelper(name: string, server: string): Promise<AuthConfig | undefined> {
  if (!/^[a-zA-Z0-9_-]+$/.test(name))
    throw new EngineError('invalid-argument', `credential helper ${name}: not a helper's name`);
  const child = spawn(`docker-credential-${name}`, ['get'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  child.stdin.end(server);
  const output = await readAll(child.stdout, maxConfigBytes);
  if ((await closed) !== 0) return undefined;
  const answer = parseAnswer(name, output);
  if (answer.Username === '<token>') return { identitytoken: answer.Secret ?? '', serveraddress: server };
  return { username: answer.Username ?? '', password: answer.Secret ?? '', serveraddress: server };
}

function parseAnswer(name: string, output: Buffer): { Username?: string; Secret?: string } {
  try {
    return JSON.parse(output.toString('utf8')) as { Username?: string; Secret?: string };
  } catch (cause) {
    throw new EngineError('invalid-argument', `credential helper ${name}: its answer is not JSON`, { cause });
  }
}
