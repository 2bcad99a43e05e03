import { EngineError } from '#errdefs';
import { parseReference } from '#reference';
import type { RegistryError } from '#registry';
import type { RemoteCall } from '#remote';
import type { CommandContext } from './command.ts';
import { type FoundCredentials, findCredentials } from './credentials/index.ts';

/** For commands that speak to registries themselves. */
export const insecureFlag = {
  name: 'insecure',
  type: 'toggle',
  help: 'Speak to the registry without verified TLS, or over plain HTTP (loopback addresses need no flag)',
} as const;

/** Where dockerd's users put the certificates of their registries. */
const certsDir = '/etc/docker/certs.d';

/** A registry client for one command, with the credentials of each repository it is about. */
export interface RegistrySession {
  /** With the credentials of the first reference. */
  readonly call: RemoteCall;
  /** One per reference, in order. */
  readonly calls: readonly RemoteCall[];
}

/**
 * Runs `work` with a client of this process. A refusal for want of rights says which host was asked for what, and where the credentials came from.
 */
export async function withRegistry<T>(
  context: CommandContext,
  references: readonly string[],
  work: (session: RegistrySession) => Promise<T>,
): Promise<T> {
  const { environment, flags, signal } = context;
  const found = await Promise.all(references.map((reference) => findCredentials(reference, environment)));
  const domains = references.map((reference) => parseReference(reference).domain);
  const { createRegistryClient, RegistryError: Refusal } = await import('#registry');
  const insecure = flags.on('insecure') ? domains : [];
  await using registry = createRegistryClient({ certsDir, insecure, userAgent: 'wherry' });
  const calls = found.map(({ auth }): RemoteCall => ({ registry, auth, signal }));
  try {
    return await work({ call: calls[0] ?? { registry, signal }, calls });
  } catch (error) {
    signal.throwIfAborted();
    const refusal = deepest(error, (cause): cause is RegistryError => cause instanceof Refusal);
    throw refusal ? withCredentials(error, refusal, sourceFor(refusal, domains, found)) : error;
  }
}

/** The registry's own error below what was made of it, with what was asked. */
function deepest(error: unknown, is: (cause: unknown) => cause is RegistryError): RegistryError | undefined {
  let found: RegistryError | undefined;
  for (let at = error, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth++)
    if (is(at) && at.asked) found = at;
  return found;
}

function sourceFor(refusal: RegistryError, domains: readonly string[], found: readonly FoundCredentials[]): string {
  const at = domains.indexOf(refusal.asked?.host ?? '');
  return found[Math.max(at, 0)]?.source ?? 'none';
}

function withCredentials(error: unknown, refusal: RegistryError, source: string): unknown {
  const isAboutRights =
    refusal.status === 401 || refusal.status === 403 || refusal.codes.some((code) => rights.includes(code));
  if (!isAboutRights || !refusal.asked || !(error instanceof Error)) return error;
  const { host, scopes } = refusal.asked;
  const facts = `registry ${host}, scope ${scopes.join(' ')}, credentials from ${source}`;
  return new EngineError('permission-denied', `${error.message}\n(${facts})`, { cause: error });
}

const rights: readonly string[] = ['DENIED', 'UNAUTHORIZED'];
