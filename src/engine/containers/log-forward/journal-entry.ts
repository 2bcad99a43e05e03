import { createHash } from 'node:crypto';
import type { LogMessage } from '#runtime';

const [errorPriority, infoPriority] = ['3', '6'];
const lineFeed = Buffer.from('\n');

export type JournalFields = Readonly<Record<string, string>>;

/** A name the journal takes: capitals, digits and underlines, none of them in front. */
export function journalName(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '');
}

/** One message in the journal's own protocol: a field to a line, or by its length where it has line feeds itself. */
export function journalEntry(fields: JournalFields, message: LogMessage): Buffer {
  const all = {
    ...fields,
    PRIORITY: message.isStderr ? errorPriority : infoPriority,
    SYSLOG_TIMESTAMP: timestamp(message.time),
    ...partFields(message.part),
  };
  const parts = Object.entries(all).map(([name, value]) => field(name, Buffer.from(value)));
  return Buffer.concat([...parts, field('MESSAGE', message.text)]);
}

function field(name: string, value: Uint8Array): Buffer {
  if (!value.includes(lineFeed[0]!)) return Buffer.concat([Buffer.from(`${name}=`), value, lineFeed]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, lineFeed]);
}

function partFields(part: LogMessage['part']): JournalFields {
  if (part === undefined) return {};
  return {
    CONTAINER_PARTIAL_ID: createHash('sha256').update(part.line).digest('hex'),
    CONTAINER_PARTIAL_ORDINAL: String(part.ordinal),
    CONTAINER_PARTIAL_LAST: String(part.isLast),
    ...(part.isLast ? {} : { CONTAINER_PARTIAL_MESSAGE: 'true' }),
  };
}

/** RFC 3339 in UTC, with as much of a fraction as there is. */
function timestamp({ seconds, nanos }: LogMessage['time']): string {
  const fraction = String(nanos).padStart(9, '0').replace(/0+$/, '');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}${fraction === '' ? '' : `.${fraction}`}Z`;
}
