import { basicHeader, basicOf } from './credentials.ts';
import { RegistryError } from './errors.ts';
import { type Host, urlOf } from './hosts.ts';
import { goVerb } from './network-errors.ts';
import type { Session } from './session.ts';
import type { RegistryAuth } from './types.ts';

const succeeded = 'Login Succeeded';

/** `docker.io` for nothing and for Docker's old index address, else the host of what was given. */
export function loginDomain(serverAddress: string | undefined): string {
  const host = (serverAddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return ['', 'index.docker.io', 'registry-1.docker.io', 'docker.io'].includes(host) ? 'docker.io' : host;
}

/** Asks `/v2/` with the credentials. A token server that grants one gives an identity token to keep in place of the password. */
export async function login(
  session: Session,
  own: (domain: string) => Promise<Host>,
  auth: RegistryAuth,
  signal: AbortSignal | undefined,
): Promise<{ status: string; identityToken: string }> {
  const host = await own(loginDomain(auth.serveraddress));
  const endpoint = await session.endpoint(host, signal);
  const url = urlOf(host, endpoint, '/v2/');
  const token = await session.token(endpoint, { scopes: [], auth, signal, offline: true }).catch((error) => {
    throw named(error, url);
  });
  const authorization = token ? `Bearer ${token.token}` : basicAuthorization(endpoint, auth, url);
  const answer = await session.send(
    { method: 'GET', url, headers: { ...host.headers, ...(authorization ? { authorization } : {}) }, signal },
    endpoint,
  );
  await answer.discard();
  if (answer.status !== 200) {
    throw new RegistryError(
      'unknown',
      `login attempt to ${url} failed with status: ${answer.status} ${answer.statusText}`,
      {
        status: answer.status,
      },
    );
  }
  return { status: succeeded, identityToken: token?.refreshToken ?? auth.identitytoken ?? '' };
}

function basicAuthorization(
  endpoint: { challenges: readonly { scheme: string }[] },
  auth: RegistryAuth,
  url: URL,
): string | undefined {
  if (!endpoint.challenges.some(({ scheme }) => scheme === 'basic')) return undefined;
  const basic = basicOf(auth);
  if (basic) return basicHeader(basic);
  throw named(new RegistryError('unknown', 'no basic auth credentials', { status: 401 }), url);
}

function named(error: unknown, url: URL): unknown {
  if (!(error instanceof RegistryError) || error.status === undefined) return error;
  return new RegistryError(error.kind, `${goVerb('GET')} "${url}": ${error.message}`, {
    status: error.status,
    diagnostics: error.diagnostics,
    cause: error,
  });
}
