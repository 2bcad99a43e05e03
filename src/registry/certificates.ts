import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { EngineError, isErrno } from '#errdefs';
import { readBounded } from '#files';
import type { Connection } from './transport.ts';

const maxCertificateBytes = 1 << 20;
let authorities: readonly string[] | undefined;

/** Node's own list and the machine's, as a daemon's users expect. */
function trustedAuthorities(): readonly string[] {
  authorities ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return authorities;
}

/**
 * Docker's `certs.d/<host:port>/`: `*.crt` are authorities beside the machine's, `*.cert` with `*.key` are client certificates.
 * @throws `invalid-argument` when a half of a pair is missing, in Docker's words.
 */
export async function secureContextFor(
  host: string,
  options: { certsDir: string | undefined; verify: boolean; connection?: Connection },
): Promise<SecureContext> {
  const { certsDir, verify, connection } = options;
  const folder = certsDir && isPlainHost(host) ? join(certsDir, host) : undefined;
  const names = folder ? await list(folder) : [];
  const read = async (name: string) => {
    const bytes = await readBounded(join(folder!, name), maxCertificateBytes);
    return bytes?.toString('utf8') ?? '';
  };
  const cert = (connection?.clients ?? []).map(([text]) => text);
  const key = (connection?.clients ?? []).map(([, text]) => text);
  for (const name of names.filter((entry) => entry.endsWith('.cert'))) {
    const keyName = `${name.slice(0, -'.cert'.length)}.key`;
    if (!names.includes(keyName)) {
      throw new EngineError(
        'invalid-argument',
        `missing key ${keyName} for client certificate ${name}. CA certificates must use the extension .crt`,
      );
    }
    cert.push(await read(name));
    key.push(await read(keyName));
  }
  const files = await Promise.all(names.filter((entry) => entry.endsWith('.crt')).map(read));
  const own = [...files, ...(connection?.ca ?? [])];
  // Reading hundreds of authorities takes a while; who is not verified needs none.
  const ca = verify ? [...trustedAuthorities(), ...own] : own;
  return createSecureContext({ ca, ...(cert.length > 0 ? { cert, key } : {}) });
}

/** A host is a folder name here: nothing that climbs out. */
function isPlainHost(host: string): boolean {
  return /^[A-Za-z0-9[\]][A-Za-z0-9.:[\]_-]*$/.test(host);
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return [];
    throw error;
  }
}
