import { RegistryError } from './errors.ts';

/** Node's and undici's codes, in the words Go's network library uses, because clients show and match those. */
const texts: Readonly<Record<string, (address: string) => string>> = {
  ECONNREFUSED: (address) => `dial tcp ${address}: connect: connection refused`,
  ENETUNREACH: (address) => `dial tcp ${address}: connect: network is unreachable`,
  EHOSTUNREACH: (address) => `dial tcp ${address}: connect: no route to host`,
  ETIMEDOUT: (address) => `dial tcp ${address}: i/o timeout`,
  UND_ERR_CONNECT_TIMEOUT: (address) => `dial tcp ${address}: i/o timeout`,
  UND_ERR_HEADERS_TIMEOUT: () => 'net/http: timeout awaiting response headers',
  UND_ERR_BODY_TIMEOUT: () => 'read: i/o timeout',
  UND_ERR_SOCKET: () => 'EOF',
  ECONNRESET: () => 'read: connection reset by peer',
  EPIPE: () => 'write: broken pipe',
  ERR_SSL_WRONG_VERSION_NUMBER: () => 'http: server gave HTTP response to HTTPS client',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: () => 'http: server gave HTTP response to HTTPS client',
  EPROTO: () => 'http: server gave HTTP response to HTTPS client',
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  CERT_HAS_EXPIRED: () => 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
};

function unknownAuthority(): string {
  return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
}

/** Certificates do not get better by asking again. */
const permanent = /^(CERT_|ERR_TLS|ERR_SSL|DEPTH_|SELF_SIGNED|UNABLE_TO|EPROTO|ENOTFOUND)/;

/** A request got no answer. The URL's query is left out: it may hold a token. */
export function networkError(method: string, url: URL, cause: unknown): RegistryError {
  const error = firstWithCode(cause);
  return new RegistryError('unknown', `${goVerb(method)} "${withoutQuery(url)}": ${describe(error, url)}`, {
    retryable: !permanent.test(error?.code ?? ''),
    cause,
  });
}

/** `Head`, `Get`: as Go's client names a method in its errors. */
export function goVerb(method: string): string {
  return method[0]! + method.slice(1).toLowerCase();
}

export function withoutQuery(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function describe(error: NodeJS.ErrnoException | undefined, url: URL): string {
  const code = error?.code ?? '';
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const fact = code === 'ENOTFOUND' ? 'no such host' : 'Temporary failure in name resolution';
    return `dial tcp: lookup ${url.hostname}: ${fact}`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `tls: failed to verify certificate: x509: certificate is not valid for ${url.hostname}`;
  }
  const text = texts[code];
  if (text) return text(addressOf(error, url.hostname, port));
  return error?.message ?? 'request failed';
}

function addressOf(error: NodeJS.ErrnoException | undefined, hostname: string, port: string): string {
  const { address } = (error ?? {}) as { address?: string };
  if (!address) return `${hostname}:${port}`;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Dialing several addresses fails with all their errors together; the cause chain hides the code, too. */
function firstWithCode(error: unknown): NodeJS.ErrnoException | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; depth++) {
    if (at instanceof AggregateError && at.errors[0] instanceof Error) {
      at = at.errors[0];
      continue;
    }
    if (typeof (at as NodeJS.ErrnoException).code === 'string') return at;
    if (!(at.cause instanceof Error)) return at;
    at = at.cause;
  }
  return undefined;
}
