const [dot, zero, letterZ] = [0x2e, 0x30, 0x5a];
const secondLength = 19;
const zoneLength = 6;
const fractionDigits = 9;
const nanosPerSecond = 1_000_000_000n;

/** A time of a log, exact, without a big integer per record. */
export interface LogTime {
  readonly seconds: number;
  readonly nanos: number;
}

export function logTime(timeNs: bigint): LogTime {
  const nanos = ((timeNs % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
  return { seconds: Number((timeNs - nanos) / nanosPerSecond), nanos: Number(nanos) };
}

export function isBefore(a: LogTime, b: LogTime): boolean {
  return a.seconds === b.seconds ? a.nanos < b.nanos : a.seconds < b.seconds;
}

/** Reads RFC 3339 with up to nine digits of fraction. Most records share their second with the one before. */
export class TimeReader {
  seconds = 0;
  nanos = 0;
  readonly #second = Buffer.alloc(secondLength);
  readonly #zone = Buffer.alloc(zoneLength);

  /** False when the bytes are no time. */
  read(data: Buffer, start: number, end: number): boolean {
    const zoneStart = data[end - 1] === letterZ ? end - 1 : end - zoneLength;
    if (!this.#readSecond(data, start, zoneStart, end)) return false;
    return this.#readFraction(data, start + secondLength, zoneStart);
  }

  #readSecond(data: Buffer, start: number, zoneStart: number, end: number): boolean {
    if (isAt(data, start, this.#second, secondLength) && isAt(data, zoneStart, this.#zone, end - zoneStart))
      return true;
    const second = data.toString('latin1', start, start + secondLength);
    const ms = Date.parse(second + data.toString('latin1', zoneStart, end));
    if (Number.isNaN(ms)) return false;
    data.copy(this.#second, 0, start, start + secondLength);
    data.copy(this.#zone, 0, zoneStart, end);
    this.seconds = ms / 1000;
    return true;
  }

  #readFraction(data: Buffer, start: number, end: number): boolean {
    this.nanos = 0;
    if (start === end) return true;
    const digits = end - start - 1;
    if (data[start] !== dot || digits > fractionDigits) return false;
    for (let at = start + 1; at < end; at++) {
      const digit = data[at]! - zero;
      if (digit < 0 || digit > 9) return false;
      this.nanos = this.nanos * 10 + digit;
    }
    this.nanos *= 10 ** (fractionDigits - digits);
    return true;
  }
}

function isAt(data: Buffer, start: number, wanted: Buffer, length: number): boolean {
  for (let at = 0; at < length; at++) if (data[start + at] !== wanted[at]) return false;
  return true;
}

/** Writes times as `docker logs -t` shows them: UTC, with all nine digits, so that columns line up, and a space. */
export class TimeStamp {
  readonly #bytes = Buffer.from('0000-00-00T00:00:00.000000000Z ');
  #seconds = Number.NaN;

  of(time: LogTime): Buffer {
    if (time.seconds !== this.#seconds) {
      this.#seconds = time.seconds;
      this.#bytes.write(new Date(time.seconds * 1000).toISOString().slice(0, secondLength), 'latin1');
    }
    let rest = time.nanos;
    for (let at = secondLength + fractionDigits; at > secondLength; at--) {
      this.#bytes[at] = zero + (rest % 10);
      rest = Math.trunc(rest / 10);
    }
    return this.#bytes;
  }
}
