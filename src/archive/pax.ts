import { EngineError } from '#errdefs';
import type { ByteString, TarTime } from './types.ts';

/** One PAX record; order matters, since GNU sparse 0.0 repeats keys. */
export interface PaxRecord {
  readonly key: ByteString;
  readonly value: ByteString;
}

const xattrPrefix = 'SCHILY.xattr.';

/** Keys whose values are names: a NUL inside them would cut the name short in every other reader. */
const nameKeys = new Set(['path', 'linkpath', 'uname', 'gname']);

/** POSIX.1-2017 pax §"pax Extended Header": `<length> <key>=<value>\n`, the length counting the whole record. */
export function parsePaxRecords(body: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < body.length; ) {
    const blank = body.indexOf(0x20, at);
    const length = blank < 0 || blank - at > 10 ? Number.NaN : decimal(body.toString('latin1', at, blank));
    const end = at + length;
    const equals = body.indexOf(0x3d, blank + 1);
    if (!(end <= body.length) || equals < 0 || equals >= end - 1 || equals === blank + 1) throw invalid();
    if (body[end - 1] !== 0x0a) throw invalid();
    const record = {
      key: body.toString('latin1', blank + 1, equals),
      value: body.toString('latin1', equals + 1, end - 1),
    };
    if (record.key.includes('\0') || (nameKeys.has(record.key) && record.value.includes('\0'))) throw invalid();
    records.push(record);
    at = end;
  }
  return records;
}

function invalid(): EngineError {
  return new EngineError('invalid-argument', 'archive/tar: invalid tar header: malformed PAX record');
}

/** Digits only; NaN otherwise. */
export function decimal(text: string): number {
  return /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
}

export function formatPaxRecord(key: ByteString, value: ByteString): string {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

/** @throws `invalid-argument` unless the value is a whole number in the safe range. */
export function parsePaxInteger(key: string, value: ByteString): number {
  const number = /^-?[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number))
    throw new EngineError('invalid-argument', `archive/tar: invalid tar header: PAX ${key} is not a number in range`);
  return number;
}

/** Decimal seconds with a fraction, also before 1970; digits beyond nanoseconds are cut. */
export function parsePaxTime(key: string, value: ByteString): TarTime {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value);
  if (!match) throw new EngineError('invalid-argument', `archive/tar: invalid tar header: PAX ${key} is not a time`);
  const whole = Number(match[2]);
  const nsec = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] !== '-') return { sec: whole, nsec };
  return nsec === 0 ? { sec: whole === 0 ? 0 : -whole, nsec: 0 } : { sec: -whole - 1, nsec: 1e9 - nsec };
}

export function formatPaxTime(time: TarTime): string {
  const back = time.sec < 0 && time.nsec > 0;
  const whole = back ? -(time.sec + 1) : Math.abs(time.sec);
  const nsec = back ? 1e9 - time.nsec : time.nsec;
  const sign = time.sec < 0 ? '-' : '';
  return nsec === 0 ? `${sign}${whole}` : `${sign}${whole}.${String(nsec).padStart(9, '0').replace(/0+$/, '')}`;
}

export function xattrName(key: ByteString): ByteString | undefined {
  return key.startsWith(xattrPrefix) ? key.slice(xattrPrefix.length) : undefined;
}

export function xattrKey(name: ByteString): ByteString {
  return xattrPrefix + name;
}
