import { Code, ConnectError } from '@connectrpc/connect';
import type { AuthConfig } from '#api-types';
import { EngineError } from '#errdefs';
import { Auth } from '../proto/filesync_pb.ts';
import type { ClientSession } from './client-session.ts';

/** Docker Hub by the name of its server, as clients of BuildKit are asked for it. */
const hub = { name: 'docker.io', server: 'registry-1.docker.io' };

/** Credentials as the client has them; undefined where it has none. */
export async function credentialsOf(
  session: ClientSession,
  registry: string,
  { signal }: { signal: AbortSignal },
): Promise<AuthConfig | undefined> {
  if (!session.serves(Auth, 'Credentials')) return undefined;
  const host = registry === hub.name ? hub.server : registry;
  try {
    return authOf(await session.client(Auth).credentials({ host }, { signal }));
  } catch (error) {
    signal.throwIfAborted();
    const { code, rawMessage } = ConnectError.from(error);
    if (code === Code.Unimplemented || code === Code.NotFound) return undefined;
    throw new EngineError('unauthenticated', `credentials for ${registry}: ${rawMessage}`, { cause: error });
  }
}

/** A secret without a name is an identity token. */
function authOf({ username, secret }: { username: string; secret: string }): AuthConfig | undefined {
  if (secret === '') return undefined;
  return username === '' ? { identitytoken: secret } : { username, password: secret };
}
