import { statSync } from 'node:fs';
import { EngineError } from '#errdefs';

export type LogOptions = Readonly<Record<string, string>>;
export const syslogFormats = ['rfc3164', 'rfc5424', 'rfc5424micro'] as const;
export type SyslogFormat = (typeof syslogFormats)[number];

/** Where the messages go: the machine's own syslog, a socket of the file system, or a server. */
export type SyslogAddress =
  | { readonly network: 'local' }
  | { readonly network: 'unix' | 'unixgram'; readonly path: string }
  | { readonly network: 'udp' | 'tcp' | 'tcp+tls'; readonly host: string; readonly port: number };

export interface SyslogSettings {
  readonly address: SyslogAddress;
  /** As the protocol numbers them, 0 to 23. */
  readonly facility: number;
  /** Absent: what programs write to the machine's own syslog, without a host name. */
  readonly format?: SyslogFormat;
}

const defaultPort = 514;
const daemonFacility = 3;
const namedFacilities = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp'],
];
const firstLocalFacility = 16;

/** @throws `invalid-argument` in dockerd's words; a socket of the file system has to be there already. */
export function syslogSettings(options: LogOptions): SyslogSettings {
  const address = syslogAddress(options['syslog-address'] ?? '');
  const facility = facilityOf(options['syslog-facility'] ?? '');
  const format = options['syslog-format'] ?? '';
  if (format === '') return { address, facility };
  const known = syslogFormats.find((name) => name === format);
  if (known === undefined) throw new EngineError('invalid-argument', 'Invalid syslog format');
  return { address, facility, format: known };
}

function facilityOf(text: string): number {
  if (text === '') return daemonFacility;
  const named = namedFacilities.indexOf(text);
  if (named >= 0) return named;
  const local = /^local([0-7])$/.exec(text)?.[1];
  if (local !== undefined) return firstLocalFacility + Number(local);
  if (/^\+?\d+$/.test(text) && Number(text) < 24) return Number(text);
  throw new EngineError('invalid-argument', 'invalid syslog facility');
}

function syslogAddress(text: string): SyslogAddress {
  if (text === '') return { network: 'local' };
  const refuse = (message: string): never => {
    throw new EngineError('invalid-argument', message);
  };
  const [, scheme = '', rest = ''] = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(.*)$/.exec(text) ?? [];
  if (scheme === 'unix' || scheme === 'unixgram') {
    const path = rest.slice(rest.includes('/') ? rest.indexOf('/') : rest.length);
    checkThere(path);
    return { network: scheme, path };
  }
  if (scheme === '' && /^[^/]*:/.test(text)) {
    refuse(`parse ${JSON.stringify(text)}: first path segment in URL cannot contain colon`);
  }
  if (scheme !== 'udp' && scheme !== 'tcp' && scheme !== 'tcp+tls') return refuse(`unsupported scheme: '${scheme}'`);
  const place = /^[^/?#]*/.exec(rest)![0];
  const wrongPort = /:([^\]:]*[^\]:\d][^\]:]*)$/.exec(place)?.[1];
  if (wrongPort !== undefined) refuse(`parse ${JSON.stringify(text)}: invalid port ":${wrongPort}" after host`);
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(place) ?? [];
  if (bracketed === undefined && plain === undefined) refuse(`address ${place}: too many colons in address`);
  return { network: scheme, host: bracketed ?? plain ?? '', port: port ? Number(port) : defaultPort };
}

function checkThere(path: string): void {
  if (path !== '' && statSync(path, { throwIfNoEntry: false })) return;
  throw new EngineError('invalid-argument', `stat ${path}: no such file or directory`);
}
