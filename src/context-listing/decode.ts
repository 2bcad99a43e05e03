import { EngineError } from '#errdefs';
import { contextListingVersion, maxInlineBytes, maxPathBytes } from './limits.ts';
import { type ListedEntry, type ListedFile, type Listing, letters } from './types.ts';

const types = new Map(Object.entries(letters).map(([type, letter]) => [letter, type as keyof typeof letters]));

/** The lines are decoded one by one. @throws `invalid-argument` for what is no listing */
export function decodeListing(bytes: Uint8Array): Listing {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const lines = text.split('\n');
  if (lines.pop() !== '') throw fault(lines.length + 1, 'ends early');
  const header = decodeHeader(lines.shift() ?? '');
  if (header.entries !== lines.length) throw fault(1, `${header.entries} entries announced, ${lines.length} came`);
  const { context, takenMs } = header;
  return { context, takenMs, lines };
}

function fault(line: number, fact: string): EngineError {
  return new EngineError('invalid-argument', `build context listing: line ${line}: ${fact}`);
}

function parse(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new EngineError('invalid-argument', `build context listing: line ${number}: not JSON`, { cause });
  }
}

function decodeHeader(line: string): { context: string; takenMs: number; entries: number } {
  const value = parse(line, 1);
  if (typeof value !== 'object' || value === null) throw fault(1, 'not a header');
  const { version, context, takenMs, entries } = value as Readonly<Record<string, unknown>>;
  if (version !== contextListingVersion) throw fault(1, `version ${String(version)} is not known`);
  if (typeof context !== 'string' || context === '' || context.length > maxPathBytes)
    throw fault(1, 'context is no identity');
  return { context, takenMs: count(takenMs, 1), entries: count(entries, 1) };
}

/** An entry that did not come as a line, numbered from 0. @throws `invalid-argument` for one that no line may be */
export function checkedEntry(entry: ListedEntry, index: number): ListedEntry {
  const number = index + 2;
  decodePath(entry.path, number);
  if (entry.type === 'hardlink') decodePath(entry.linkPath, number);
  else if (entry.type === 'symlink') decodeBytes(entry.linkPath, number);
  return entry;
}

/** The entry of a line, numbered from 0. @throws `invalid-argument` naming the line that is not as it has to be */
export function decodeEntry(line: string, index: number): ListedEntry {
  const number = index + 2;
  const value = parse(line, number);
  if (!Array.isArray(value)) throw fault(number, 'not a list');
  const [letter, path, mode, mtimeSec, ...rest] = value as readonly unknown[];
  const type = types.get(letter as 'f');
  if (!type) throw fault(number, 'no type of file');
  const common = {
    path: decodePath(path, number),
    mode: count(mode, number, 0o7777),
    mtimeSec: time(mtimeSec, number),
  };
  switch (type) {
    case 'file':
      return { ...common, type, ...decodeFile(rest, number) };
    case 'symlink':
      return { ...common, type, linkPath: decodeBytes(rest[0], number) };
    case 'hardlink':
      return { ...common, type, linkPath: decodePath(rest[0], number) };
    case 'char':
    case 'block':
      return { ...common, type, devMajor: count(rest[0], number), devMinor: count(rest[1], number) };
    default:
      return { ...common, type };
  }
}

const stampForm = /^\d{1,20} \d{1,20} -?\d{1,20} -?\d{1,20}$/;

function decodeFile(
  [size, stamp, extras]: readonly unknown[],
  number: number,
): Pick<ListedFile, 'sizeBytes' | 'stamp' | 'content' | 'capability'> {
  const sizeBytes = count(size, number);
  if (stamp !== null && (typeof stamp !== 'string' || !stampForm.test(stamp))) throw fault(number, 'no stamp');
  const trusted = stamp === null ? {} : { stamp };
  if (extras === undefined) return { sizeBytes, ...trusted };
  if (typeof extras !== 'object' || extras === null) throw fault(number, 'no attributes');
  const { content, capability } = extras as Readonly<Record<string, unknown>>;
  if (content !== undefined && sizeBytes > maxInlineBytes) throw fault(number, 'too large to be part of a listing');
  const inline = base64(content, number);
  if (inline && inline.length !== sizeBytes) throw fault(number, `content has not ${sizeBytes} bytes`);
  const attribute = base64(capability, number);
  return {
    sizeBytes,
    ...trusted,
    ...(inline ? { content: inline } : {}),
    ...(attribute ? { capability: attribute } : {}),
  };
}

function base64(value: unknown, number: number): Buffer | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw fault(number, 'not base64');
  return Buffer.from(value, 'base64');
}

/** A path that cannot lead out, written in the one way there is. */
function decodePath(value: unknown, number: number): string {
  const path = decodeBytes(value, number);
  if (path === '' || path.startsWith('/') || path.endsWith('/') || /\/\/|(?:^|\/)\.\.?(?:\/|$)/.test(path)) {
    throw fault(number, 'not a path below the context');
  }
  return path;
}

function decodeBytes(value: unknown, number: number): string {
  if (typeof value !== 'string' || value.length > maxPathBytes || /[\0\u0100-\uffff]/.test(value)) {
    throw fault(number, 'not a name');
  }
  return value;
}

function count(value: unknown, number: number, most: number = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most) {
    throw fault(number, `${JSON.stringify(value)} is out of range`);
  }
  return value as number;
}

function time(value: unknown, number: number): number {
  if (!Number.isSafeInteger(value)) throw fault(number, `${JSON.stringify(value)} is no time`);
  return value as number;
}
