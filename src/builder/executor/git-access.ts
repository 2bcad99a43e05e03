import type { HandedOver } from '../handed-over.ts';

/** Secrets by which a client lets the daemon in; with `.host` behind them for one server alone, which goes first. */
const secrets = { header: 'GIT_AUTH_HEADER', token: 'GIT_AUTH_TOKEN' } as const;

/**
 * The environment in which git may read a private repository: what the client hands over for its server, as a header of every request to it. No command
 * line and no file has it.
 */
export async function gitAccess(
  repository: string,
  handedOver: HandedOver | undefined,
  options: { signal: AbortSignal },
): Promise<Readonly<Record<string, string>>> {
  const server = serverOf(repository);
  if (!server || !handedOver) return {};
  const value = await headerFor(server.host, async (id) => {
    const secret = await handedOver.secret(id, options);
    return secret && Buffer.from(secret).toString().trim();
  });
  if (value === undefined) return {};
  return {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `http.${server.origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: ${value}`,
  };
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
