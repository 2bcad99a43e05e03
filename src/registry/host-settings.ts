import { join, resolve } from 'node:path';
import { EngineError, messageOf } from '#errdefs';
import { readBounded } from '#files';

const maxFileBytes = 1 << 20;

export type Capability = 'pull' | 'resolve' | 'push';

const everything: readonly Capability[] = ['pull', 'resolve', 'push'];

/** What containerd's `hosts.toml` says of one host. Paths are absolute. */
export interface HostSettings {
  readonly capabilities: ReadonlySet<Capability>;
  readonly ca: readonly string[];
  /** Certificate and key; the key is in the certificate's file when it is left out. */
  readonly clients: readonly (readonly [cert: string, key: string | undefined])[];
  readonly skipVerify: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** The URL's path is the root of the API; nothing is added to it. */
  readonly overridePath: boolean;
  readonly dialTimeoutMs?: number;
  readonly proxy?: string;
}

/** A whole file: of the registry itself, and of the hosts that are tried before it. */
export interface HostsFile {
  readonly path: string;
  /** URL; absent is the registry's own name. */
  readonly server: URL | undefined;
  readonly own: HostSettings;
  /** In the order of the file. */
  readonly hosts: readonly { readonly url: URL; readonly settings: HostSettings }[];
}

/** The folders of `certs.d` that may speak for a host, the best first. */
function foldersOf(domain: string): readonly string[] {
  const port = /^(.*):(\d+)$/.exec(domain);
  return [...(port ? [`${port[1]}_${port[2]}_`] : []), domain, '_default'];
}

/** The text of `hosts.toml` for a registry host, read anew each time; `undefined` when there is none. */
export async function readHostsFile(
  certsDir: string,
  domain: string,
): Promise<{ path: string; text: string } | undefined> {
  if (!/^[A-Za-z0-9[\]][A-Za-z0-9.:[\]_-]*$/.test(domain)) return undefined;
  for (const folder of foldersOf(domain)) {
    const path = join(certsDir, folder, 'hosts.toml');
    const bytes = await readBounded(path, maxFileBytes);
    if (bytes) return { path, text: bytes.toString('utf8') };
  }
  return undefined;
}

/** @throws `invalid-argument` naming the file and what in it is wrong or not known here. */
export async function parseHostsFile(path: string, text: string): Promise<HostsFile> {
  const { parse } = await import('smol-toml');
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (cause) {
    throw new EngineError('invalid-argument', `${path}: ${messageOf(cause).split('\n')[0]}`, { cause });
  }
  const { server, host, ...own } = table;
  const reader = new Reader(path);
  return {
    path,
    server: server === undefined ? undefined : reader.url(server, 'server'),
    own: reader.settings(own, ''),
    hosts: Object.entries(reader.table(host ?? {}, 'host')).map(([name, value]) => ({
      url: reader.url(name, `host.${JSON.stringify(name)}`),
      settings: reader.settings(reader.table(value, `host.${JSON.stringify(name)}`), `host.${JSON.stringify(name)}.`),
    })),
  };
}

const known = ['capabilities', 'ca', 'client', 'skip_verify', 'header', 'override_path', 'dial_timeout', 'proxy'];

/** Decodes one file's values; relative paths begin at its folder. */
class Reader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  settings(table: Record<string, unknown>, at: string): HostSettings {
    for (const key of Object.keys(table)) if (!known.includes(key)) throw this.#wrong(`${at}${key}`, 'is not known');
    const timeout = table['dial_timeout'];
    const proxy = table['proxy'];
    return {
      capabilities: this.#capabilities(table['capabilities'], `${at}capabilities`),
      ca: this.#texts(table['ca'] ?? [], `${at}ca`).map((name) => this.#file(name)),
      clients: this.#clients(table['client'] ?? [], `${at}client`),
      skipVerify: this.#flag(table['skip_verify'], `${at}skip_verify`),
      headers: this.#headers(table['header'] ?? {}, `${at}header`),
      overridePath: this.#flag(table['override_path'], `${at}override_path`),
      ...(timeout === undefined ? {} : { dialTimeoutMs: this.#duration(timeout, `${at}dial_timeout`) }),
      ...(proxy === undefined ? {} : { proxy: this.#proxy(proxy, `${at}proxy`) }),
    };
  }

  table(value: unknown, at: string): Record<string, unknown> {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw this.#wrong(at, 'is not a table');
  }

  /** Without a scheme it is HTTPS. */
  url(value: unknown, at: string): URL {
    const text = typeof value === 'string' ? value : '';
    const url = URL.parse(text.includes('://') ? text : `https://${text}`);
    if (url && /^https?:$/.test(url.protocol) && !url.username && !url.search) return url;
    throw this.#wrong(at, 'is not the address of a registry');
  }

  #capabilities(value: unknown, at: string): ReadonlySet<Capability> {
    if (value === undefined) return new Set(everything);
    const names = this.#texts(value, at);
    for (const name of names)
      if (!everything.some((capability) => capability === name)) throw this.#wrong(at, `has an unknown one, ${name}`);
    return new Set(names as Capability[]);
  }

  #clients(value: unknown, at: string): HostSettings['clients'] {
    const entries = typeof value === 'string' ? [value] : value;
    if (!Array.isArray(entries)) throw this.#wrong(at, 'is neither a path nor a list');
    return entries.map((entry: unknown) => {
      const [cert = '', key = '', ...rest] = this.#texts(entry, at);
      if (cert === '' || rest.length > 0) throw this.#wrong(at, 'wants pairs of certificate and key');
      return [this.#file(cert), key === '' ? undefined : this.#file(key)] as const;
    });
  }

  #headers(value: unknown, at: string): Readonly<Record<string, string>> {
    const entries = Object.entries(this.table(value, at));
    return Object.fromEntries(
      entries.map(([name, text]) => {
        const joined = this.#texts(text, `${at}.${name}`).join(', ');
        if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[\r\n\0]/.test(joined))
          throw this.#wrong(`${at}.${name}`, 'is no header');
        return [name.toLowerCase(), joined];
      }),
    );
  }

  /** Go's durations, of which people write these. */
  #duration(value: unknown, at: string): number {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(typeof value === 'string' ? value : '');
    if (!match) throw this.#wrong(at, 'is not a duration, "5s" say');
    return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2] as 'ms' | 's' | 'm'];
  }

  #proxy(value: unknown, at: string): string {
    const url = typeof value === 'string' ? URL.parse(value) : null;
    if (url && /^(https?|socks5h?):$/.test(url.protocol)) return url.href;
    throw this.#wrong(at, 'is not the address of an HTTP or SOCKS5 proxy');
  }

  #flag(value: unknown, at: string): boolean {
    if (value === undefined || typeof value === 'boolean') return value ?? false;
    throw this.#wrong(at, 'is neither true nor false');
  }

  #texts(value: unknown, at: string): readonly string[] {
    const list = typeof value === 'string' ? [value] : value;
    if (Array.isArray(list) && list.every((entry) => typeof entry === 'string')) return list;
    throw this.#wrong(at, 'is not a list of strings');
  }

  #file(name: string): string {
    return resolve(this.#path, '..', name);
  }

  #wrong(at: string, fact: string): EngineError {
    return new EngineError('invalid-argument', `${this.#path}: ${at} ${fact}`);
  }
}
