import { isKind } from '#errdefs';
import type { HandedOver } from '../handed-over.ts';
import type { BuilderHost } from '../types.ts';

/** Secrets by which a client lets the daemon in; with `.host` behind them for one server alone, which goes first. */
const secrets = { header: 'GIT_AUTH_HEADER', token: 'GIT_AUTH_TOKEN' } as const;

/** Of the client, and of the machine for its agent's socket. */
export interface GitHelp {
  readonly handedOver: HandedOver | undefined;
  readonly lendSocket: BuilderHost['lendSocket'];
}

/** The environment in which git may read a private repository. No command line and no file has what is in it. Dispose it when git is done. */
export interface GitAccess extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
}

const noAccess: GitAccess = { env: {}, [Symbol.asyncDispose]: async () => {} };

/** What the client hands over for a repository's server: a header of every request to it, or its SSH agent. */
export async function gitAccess(
  repository: string,
  help: GitHelp | undefined,
  options: { signal: AbortSignal },
): Promise<GitAccess> {
  const { handedOver, lendSocket } = help ?? {};
  if (!handedOver || !lendSocket) return noAccess;
  const server = serverOf(repository);
  if (!server) return isSsh(repository) ? await agentAccess(handedOver, lendSocket, options) : noAccess;
  const value = await headerFor(server.host, async (id) => {
    const secret = await handedOver.secret(id, options);
    return secret && Buffer.from(secret).toString().trim();
  });
  if (value === undefined) return noAccess;
  const env = {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `http.${server.origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: ${value}`,
  };
  return { ...noAccess, env };
}

const agentID = 'default';

/** The daemon has met none of these servers before, and remembers none: as with BuildKit, whoever answers is believed. */
const sshCommand = 'ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR';

async function agentAccess(
  handedOver: HandedOver,
  lendSocket: GitHelp['lendSocket'],
  { signal }: { signal: AbortSignal },
): Promise<GitAccess> {
  try {
    await handedOver.requireAgent(agentID, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (isKind(error, 'not-found')) return noAccess;
    throw error;
  }
  const serve: Parameters<typeof lendSocket>[0] = (socket) => {
    const talk = handedOver.connectAgent(agentID, socket, { signal });
    talk.catch(() => {}).finally(() => socket.destroy());
  };
  const lent = await lendSocket(serve, { uid: 0, gid: 0, mode: 0o600 });
  const env = { SSH_AUTH_SOCK: lent.path, GIT_SSH_COMMAND: sshCommand };
  return { env, [Symbol.asyncDispose]: () => lent[Symbol.asyncDispose]() };
}

/** `ssh://host/path`, or `user@host:path`. */
function isSsh(repository: string): boolean {
  return /^ssh:\/\//i.test(repository) || /^[^/:@]+@[^/:]+:/.test(repository);
}

function serverOf(repository: string): URL | undefined {
  if (!/^https?:\/\//i.test(repository)) return undefined;
  return URL.parse(repository) ?? undefined;
}

async function headerFor(
  host: string,
  secret: (id: string) => Promise<string | undefined>,
): Promise<string | undefined> {
  for (const suffix of [`.${host}`, '']) {
    const header = await secret(secrets.header + suffix);
    if (header !== undefined) return header;
    const token = await secret(secrets.token + suffix);
    if (token !== undefined) return `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
  }
  return undefined;
}
