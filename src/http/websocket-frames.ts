import type { ByteSource } from '#streams';

/** RFC 6455, 5.2; control frames from `close` on. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const known = new Set<number>(Object.values(opcodes));

const finBit = 0x80;
const maskBit = 0x80;
const maskBytes = 4;
const maxControlBytes = 125;
/** Marks in the second byte: the length follows in two or eight bytes. */
const [length16, length64] = [126, 127];

/** The client breaks the protocol. */
export class ProtocolError extends Error {}

export interface FrameHead {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly sizeBytes: number;
}

/** The head of an unmasked, whole message. */
export function frameHead(opcode: number, sizeBytes: number): Buffer {
  const first = finBit | opcode;
  if (sizeBytes < length16) return Buffer.of(first, sizeBytes);
  if (sizeBytes <= 0xffff) return Buffer.of(first, length16, sizeBytes >> 8, sizeBytes & 0xff);
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = length64;
  head.writeBigUInt64BE(BigInt(sizeBytes), 2);
  return head;
}

/** A client's frames out of its bytes: {@link next} gives a head, then its payload is read, in pieces as it comes or whole. */
export class FrameReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffer: Buffer = Buffer.alloc(0);
  #mask: Uint8Array = new Uint8Array(maskBytes);
  #masked = 0;
  #leftBytes = 0;
  #inMessage = false;

  constructor(source: ByteSource) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Undefined at the end of the bytes. @throws {@link ProtocolError} */
  async next(): Promise<FrameHead | undefined> {
    const start = await this.#take(2);
    if (start === undefined) return undefined;
    const [first = 0, second = 0] = start;
    if ((second & maskBit) === 0) throw new ProtocolError('a frame of a client without a mask');
    const frame = {
      opcode: first & 0x0f,
      isFinal: (first & finBit) !== 0,
      sizeBytes: await this.#length(second & ~maskBit),
    };
    this.#check(frame, first);
    const mask = await this.#take(maskBytes);
    if (mask === undefined) return undefined;
    this.#mask = mask;
    this.#masked = 0;
    this.#leftBytes = frame.sizeBytes;
    return frame;
  }

  /** The payload of the frame, as it comes; less when the bytes end inside it. */
  async *payload(): AsyncGenerator<Uint8Array> {
    while (this.#leftBytes > 0) {
      if (this.#buffer.length === 0 && !(await this.#more())) return;
      const piece = this.#buffer.subarray(0, this.#leftBytes);
      this.#buffer = this.#buffer.subarray(piece.length);
      this.#leftBytes -= piece.length;
      yield this.#unmask(piece);
    }
  }

  /** That of a control frame, which is short. */
  async wholePayload(): Promise<Uint8Array> {
    return Buffer.concat(await Array.fromAsync(this.payload()));
  }

  #check(frame: FrameHead, first: number): void {
    const isControl = frame.opcode >= opcodes.close;
    if (!known.has(frame.opcode) || (first & 0x70) !== 0) throw new ProtocolError('a frame of no known kind');
    if (isControl) {
      if (!frame.isFinal || frame.sizeBytes > maxControlBytes) throw new ProtocolError('a control frame in parts');
      return;
    }
    if ((frame.opcode === opcodes.continuation) !== this.#inMessage) throw new ProtocolError('a message in another');
    this.#inMessage = !frame.isFinal;
  }

  async #length(mark: number): Promise<number> {
    if (mark < length16) return mark;
    const bytes = await this.#take(mark === length16 ? 2 : 8);
    if (bytes === undefined) return 0;
    const length = mark === length16 ? BigInt(bytes.readUInt16BE()) : bytes.readBigUInt64BE();
    if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError('a frame beyond all measure');
    return Number(length);
  }

  #unmask(piece: Uint8Array): Uint8Array {
    const bytes = Buffer.allocUnsafe(piece.length);
    for (let at = 0; at < piece.length; at++) bytes[at] = piece[at]! ^ this.#mask[(this.#masked + at) % maskBytes]!;
    this.#masked = (this.#masked + piece.length) % maskBytes;
    return bytes;
  }

  async #take(sizeBytes: number): Promise<Buffer | undefined> {
    while (this.#buffer.length < sizeBytes) if (!(await this.#more())) return undefined;
    const taken = this.#buffer.subarray(0, sizeBytes);
    this.#buffer = this.#buffer.subarray(sizeBytes);
    return taken;
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done) return false;
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(value) : Buffer.concat([this.#buffer, value]);
    return true;
  }
}
