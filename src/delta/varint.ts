import { EngineError } from '#errdefs';

/** Whole numbers up to 2^53, seven bits a byte, the low ones first; the high bit says that more follow. */
export function pushVarint(into: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    into.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  into.push(rest);
}

/** Signed: 0, -1, 1, -2 … */
export function pushSigned(into: number[], value: number): void {
  pushVarint(into, value < 0 ? -2 * value - 1 : 2 * value);
}

/** Reads a document of numbers and bytes front to back. @throws `invalid-argument` past its end. */
export class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed('it ends within a number');
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw malformed('a number is too large');
      if (byte < 0x80) return value;
    }
  }

  signed(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  uint32(): number {
    return this.bytes(4).readUInt32LE(0);
  }

  bytes(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw malformed('it ends within its data');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function malformed(fact: string): EngineError {
  return new EngineError('invalid-argument', `malformed piece: ${fact}`);
}
