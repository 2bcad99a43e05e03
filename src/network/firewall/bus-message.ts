/** D-Bus messages as bytes, as far as calls with strings and their answers need them (D-Bus specification, "Message Protocol"). Little-endian. */
import { EngineError } from '#errdefs';

export interface Call {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly arguments: readonly string[];
}

export interface Answer {
  readonly serial: number;
  /** The name of an error. */
  readonly error: string | undefined;
  /** Of a string or a list of strings; empty for others. */
  readonly strings: readonly string[];
}

const types = { call: 1, answer: 2, error: 3 } as const;
const fields = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  signature: 8,
} as const;
const noAutoStart = 2;
const fixedBytes = 16;
const limitBytes = 1 << 20;

/** `serial` is what the answer will name. */
export function encodeCall(serial: number, call: Call): Buffer {
  const parts = new Padded();
  parts.field(fields.path, 'o', call.path);
  parts.field(fields.interface, 's', call.interface);
  parts.field(fields.member, 's', call.member);
  parts.field(fields.destination, 's', call.destination);
  if (call.arguments.length > 0) parts.signature(fields.signature, 's'.repeat(call.arguments.length));
  const body = new Padded();
  for (const argument of call.arguments) body.string(argument);
  const fixed = Buffer.alloc(fixedBytes);
  fixed.set([0x6c, types.call, noAutoStart, 1]);
  fixed.writeUInt32LE(body.bytes.length, 4);
  fixed.writeUInt32LE(serial, 8);
  fixed.writeUInt32LE(parts.bytes.length, 12);
  return Buffer.concat([fixed, parts.bytes, Buffer.alloc(gap(parts.bytes.length, 8)), body.bytes]);
}

/** How long the message is that these bytes begin, unless there are too few to tell. */
export function messageBytes(bytes: Buffer): number | undefined {
  if (bytes.length < fixedBytes) return undefined;
  if (bytes[0] !== 0x6c) throw new EngineError('internal', 'read D-Bus message: not little-endian');
  const header = bytes.readUInt32LE(12);
  const body = bytes.readUInt32LE(4);
  if (header > limitBytes || body > limitBytes) throw new EngineError('internal', 'read D-Bus message: too long');
  return fixedBytes + header + gap(header, 8) + body;
}

/** Nothing for signals and the like. */
export function decodeAnswer(message: Buffer): Answer | undefined {
  const type = message[1];
  if (type !== types.answer && type !== types.error) return undefined;
  const header = message.readUInt32LE(12);
  const found = readFields(message.subarray(0, fixedBytes + header));
  const body = message.subarray(fixedBytes + header + gap(header, 8));
  const signature = String(found.get(fields.signature) ?? '');
  return {
    serial: Number(found.get(fields.replySerial) ?? 0),
    error: type === types.error ? String(found.get(fields.errorName) ?? 'unknown') : undefined,
    strings: readStrings(body, signature),
  };
}

/** An array of structures: each begins at a multiple of eight, with its number and the type of its value. */
function readFields(bytes: Buffer): Map<number, string | number> {
  const found = new Map<number, string | number>();
  for (let at = fixedBytes; at + 4 < bytes.length; at += gap(at, 8)) {
    const code = bytes[at]!;
    const signature = String.fromCharCode(bytes[at + 2]!);
    at += 4;
    if (signature === 'u') {
      found.set(code, bytes.readUInt32LE(at));
      at += 4;
      continue;
    }
    const sizeBytes = signature === 'g' ? bytes[at]! : bytes.readUInt32LE(at);
    at += signature === 'g' ? 1 : 4;
    found.set(code, bytes.toString('utf8', at, at + sizeBytes));
    at += sizeBytes + 1;
  }
  return found;
}

function readStrings(body: Buffer, signature: string): string[] {
  if (signature !== 'as' && signature[0] !== 's') return [];
  const strings: string[] = [];
  const end = signature === 'as' ? 4 + body.readUInt32LE(0) : body.length;
  for (let at = signature === 'as' ? 4 : 0; at + 4 < end; ) {
    const sizeBytes = body.readUInt32LE(at);
    strings.push(body.toString('utf8', at + 4, at + 4 + sizeBytes));
    at += 4 + sizeBytes + 1;
    at += gap(at, 4);
    if (signature !== 'as' && strings.length === 1) break;
  }
  return strings;
}

/** Values one after another, each where its kind has to begin. */
class Padded {
  bytes = Buffer.alloc(0);

  field(code: number, type: 'o' | 's', value: string): void {
    this.#pad(8);
    this.#add(Buffer.from([code, 1, type.charCodeAt(0), 0]));
    this.string(value);
  }

  signature(code: number, value: string): void {
    this.#pad(8);
    this.#add(Buffer.from([code, 1, 'g'.charCodeAt(0), 0, value.length]), Buffer.from(`${value}\0`));
  }

  string(value: string): void {
    this.#pad(4);
    const text = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    this.#add(length, text, Buffer.alloc(1));
  }

  #pad(to: number): void {
    this.#add(Buffer.alloc(gap(this.bytes.length, to)));
  }

  #add(...more: Buffer[]): void {
    this.bytes = Buffer.concat([this.bytes, ...more]);
  }
}

function gap(length: number, to: number): number {
  return (to - (length % to)) % to;
}
