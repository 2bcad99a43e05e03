import { readFileSync } from 'node:fs';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { EngineError, messageOf } from '#errdefs';
import type { LogMessage } from '#runtime';
import type { LogSink } from './sink.ts';
import { SyslogFormatter, syslogSender } from './syslog-format.ts';
import { type LogOptions, type SyslogSettings, syslogSettings } from './syslog-options.ts';
import { dialTcp, dialUdp, dialUnixDatagram, dialUnixStream, type LogWire } from './wires.ts';

/**
 * One write for each message is half of what a burst costs. The position is kept behind a write: a daemon that is killed between the two has its successor send
 * these again, which happens as much more seldom as there are more of them.
 */
const messagesPerWrite = 64;

/** Where a machine's own syslog listens. */
const localPaths = ['/dev/log', '/var/run/syslog', '/var/run/log'];

/** @throws in dockerd's words when the server cannot be reached. */
export async function openSyslog(options: LogOptions, tag: string): Promise<LogSink> {
  const settings = syslogSettings(options);
  return new SyslogSink(await dial(settings, options), new SyslogFormatter(settings, syslogSender(tag)));
}

function dial({ address }: SyslogSettings, options: LogOptions): Promise<LogWire> {
  switch (address.network) {
    case 'local':
      return dialLocal();
    case 'unix':
      return dialUnixStream(address.path);
    case 'unixgram':
      return dialUnixDatagram(address.path);
    case 'udp':
      return dialUdp(address);
    case 'tcp':
      return dialTcp(address);
    case 'tcp+tls':
      return dialTcp(address, tlsOptions(options));
  }
}

async function dialLocal(): Promise<LogWire> {
  for (const open of [dialUnixDatagram, dialUnixStream]) {
    for (const path of localPaths) {
      const wire = await open(path).catch(() => undefined);
      if (wire) return wire;
    }
  }
  throw new EngineError('unavailable', 'Unix syslog delivery error');
}

/** Certificates are read at each connect, so that renewed ones count. */
function tlsOptions(options: LogOptions): ConnectionOptions {
  const [ca, cert, key] = ['ca-cert', 'cert', 'key'].map((name) => options[`syslog-tls-${name}`] ?? '');
  const skip = options['syslog-tls-skip-verify'];
  const isSkipped = skip !== undefined && !/^(0|f|false)$/i.test(skip);
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !isSkipped,
    ...(ca && !isSkipped ? { ca: authorities(ca) } : {}),
    ...(cert || key ? keyPair(cert ?? '', key ?? '') : {}),
  };
}

function authorities(path: string): Buffer {
  const name = JSON.stringify(path);
  const bytes = read(path, (text) => `could not read CA certificate ${name}: ${text}`);
  if (bytes.includes('-----BEGIN CERTIFICATE-----')) return bytes;
  throw new EngineError('invalid-argument', `failed to append certificates from PEM file: ${name}`);
}

function keyPair(certPath: string, keyPath: string): ConnectionOptions {
  const words = (text: string) => `Could not load X509 key pair: ${text}`;
  const pair = { cert: read(certPath, words), key: read(keyPath, words) };
  if (!pair.key.includes('PRIVATE KEY-----')) {
    throw new EngineError('invalid-argument', words('no valid private key found'));
  }
  try {
    createSecureContext(pair);
  } catch (cause) {
    throw new EngineError('invalid-argument', words(messageOf(cause)), { cause });
  }
  return pair;
}

function read(path: string, words: (text: string) => string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const isAbsent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const text = isAbsent ? `open ${path}: no such file or directory` : messageOf(cause);
    throw new EngineError('invalid-argument', words(text), { cause });
  }
}

class SyslogSink implements LogSink {
  readonly #wire: LogWire;
  readonly #formatter: SyslogFormatter;

  constructor(wire: LogWire, formatter: SyslogFormatter) {
    this.#wire = wire;
    this.#formatter = formatter;
  }

  get batch(): number {
    return this.#wire.isStream ? messagesPerWrite : 1;
  }

  /** Empty lines are no messages here, as with dockerd. */
  send(messages: readonly LogMessage[]): Promise<void> | undefined {
    const parts = messages.filter(({ text }) => text.length > 0).map((message) => this.#formatter.format(message));
    if (parts.length === 0) return undefined;
    return this.#wire.send(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
  }

  close(): void {
    this.#wire.close();
  }
}
