import { EngineError } from '#errdefs';
import type { ListenAddress } from './listen.ts';

/** Certificates of a client: the daemon's CA, and its own pair for `--tlsverify`. PEM text. */
export interface ClientTls {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  /** False accepts any certificate (`--tls` without `--tlsverify`). */
  readonly verify: boolean;
}

/** Where a daemon is reached. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly tls?: ClientTls | undefined;
    };

const defaultPort = 2375;
const defaultTlsPort = 2376;

/**
 * What `-H` and `DOCKER_HOST` take: `unix:///path`, `tcp://host:port`, `http://`, `https://`, or a bare `host:port`. Ports default to 2375, and 2376 with TLS.
 * @throws `invalid-argument`, in Docker's words.
 */
export function parseHost(
  text: string,
  options: { tls?: boolean } = {},
): Exclude<ListenAddress, { kind: 'unix' }> | { kind: 'unix'; path: string } {
  const trimmed = text.trim();
  const [scheme, rest] = split(trimmed);
  if (scheme === 'unix') {
    if (rest === '') throw invalid(text, 'empty socket path');
    return { kind: 'unix', path: rest };
  }
  if (scheme !== 'tcp' && scheme !== 'http' && scheme !== 'https') {
    throw new EngineError('invalid-argument', `invalid bind address (${text}): unsupported proto "${scheme}"`);
  }
  const tls = options.tls === true || scheme === 'https';
  let url: URL;
  try {
    url = new URL(`http://${rest.startsWith(':') ? `localhost${rest}` : rest || 'localhost'}`);
  } catch {
    throw invalid(text, 'expected host:port');
  }
  if (url.username !== '' || url.search !== '' || url.hash !== '' || (url.pathname !== '/' && rest !== '')) {
    throw invalid(text, 'expected host:port and nothing else');
  }
  // URL drops port 80, its scheme's own.
  const explicit = /:([0-9]+)\/?$/.exec(rest)?.[1];
  return {
    kind: 'tcp',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: explicit === undefined ? (tls ? defaultTlsPort : defaultPort) : Number(explicit),
  };
}

function split(text: string): [scheme: string, rest: string] {
  const at = text.indexOf('://');
  return at < 0 ? ['tcp', text] : [text.slice(0, at), text.slice(at + 3)];
}

function invalid(text: string, fact: string): EngineError {
  return new EngineError('invalid-argument', `invalid bind address (${text}): ${fact}`);
}
