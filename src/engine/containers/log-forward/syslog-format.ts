import { hostname } from 'node:os';
import type { LogMessage } from '#runtime';
import type { SyslogSettings } from './syslog-options.ts';

const [errorSeverity, infoSeverity] = [3, 6];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const lineFeed = Buffer.from('\n');

/** Who speaks, in the eyes of the server. */
export interface SyslogSender {
  readonly tag: string;
  readonly pid: number;
  readonly host: string;
}

export const syslogSender = (tag: string): SyslogSender => ({ tag, pid: process.pid, host: hostname() });

/**
 * Makes of each message what the server gets, its line feed included. Its time is that of the message, so that one sent late says when it
 * was written. TLS with RFC 5424 counts bytes in front, as RFC 5425 wants.
 */
export class SyslogFormatter {
  readonly #settings: SyslogSettings;
  readonly #sender: SyslogSender;
  readonly #isCounted: boolean;
  readonly #isExact: boolean;
  /** Most messages share theirs, severity and second, with the one before. */
  #head: { readonly isStderr: boolean; readonly seconds: number; readonly bytes: Buffer } | undefined;

  constructor(settings: SyslogSettings, sender: SyslogSender) {
    this.#settings = settings;
    this.#sender = sender;
    this.#isCounted = settings.address.network === 'tcp+tls' && settings.format?.startsWith('rfc5424') === true;
    this.#isExact = settings.format === 'rfc5424micro';
  }

  format(message: LogMessage): Buffer {
    const parts = [this.#headOf(message), message.text, lineFeed];
    if (!this.#isCounted) return Buffer.concat(parts);
    const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
    return Buffer.concat([Buffer.from(`${sizeBytes} `), ...parts]);
  }

  #headOf(message: LogMessage): Buffer {
    const { isStderr, time } = message;
    const known = this.#head;
    if (known && !this.#isExact && known.isStderr === isStderr && known.seconds === time.seconds) return known.bytes;
    const priority = priorityOf(this.#settings, message);
    const bytes = Buffer.from(`<${priority}>${head(this.#settings.format, this.#sender, time)}`);
    this.#head = { isStderr, seconds: time.seconds, bytes };
    return bytes;
  }
}

function priorityOf({ facility }: SyslogSettings, { isStderr }: LogMessage): number {
  return facility * 8 + (isStderr ? errorSeverity : infoSeverity);
}

function head(format: SyslogSettings['format'], { tag, pid, host }: SyslogSender, time: LogMessage['time']): string {
  const date = new Date(time.seconds * 1000);
  const micros = `.${String(Math.trunc(time.nanos / 1000)).padStart(6, '0')}`;
  switch (format) {
    case 'rfc5424':
      return `1 ${isoTime(date, '')} ${host} ${tag} ${pid} ${tag} - `;
    case 'rfc5424micro':
      return `1 ${isoTime(date, micros)} ${host} ${tag} ${pid} ${tag} - `;
    case 'rfc3164':
      return `${shortTime(date)} ${host} ${tag}[${pid}]: `;
    default:
      return `${shortTime(date)} ${tag}[${pid}]: `;
  }
}

const two = (value: number) => String(value).padStart(2, '0');
const clock = (date: Date) => [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');

/** `Nov  1 14:19:57`, of this machine's time zone, which the protocol says nothing of. */
function shortTime(date: Date): string {
  return `${months[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${clock(date)}`;
}

/** RFC 3339 with this machine's offset. */
function isoTime(date: Date, fraction: string): string {
  const offset = -date.getTimezoneOffset();
  const ahead = Math.abs(offset);
  const zone = offset === 0 ? 'Z' : `${offset < 0 ? '-' : '+'}${two(Math.trunc(ahead / 60))}:${two(ahead % 60)}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${clock(date)}${fraction}${zone}`;
}
