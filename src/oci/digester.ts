import { createHash, type Hash } from 'node:crypto';
import { type FastSha256, fastSha256 } from './fast-sha256.ts';
import type { Digest, DigestAlgorithm } from './types.ts';

/** Hashes bytes as they pass. `digest` may be called once. */
export interface Digester {
  readonly sizeBytes: number;
  update(chunk: Uint8Array): void;
  digest(): Digest;
  /** Another of the same bytes so far. */
  copy(): Digester;
}

export function createDigester(algorithm: DigestAlgorithm = 'sha256'): Digester {
  const fast = algorithm === 'sha256' ? fastSha256() : undefined;
  return fast ? FastDigester.begin(fast) : nodesDigester(algorithm, createHash(algorithm), 0);
}

/** Whether {@link updateBoth} takes little longer than an update of one. */
export const takesTwoAsOne = (): boolean => fastSha256() !== undefined;

/** What `update` of the one and of the other would do. */
export function updateBoth(first: Digester, firstChunk: Uint8Array, second: Digester, secondChunk: Uint8Array): void {
  if (first instanceof FastDigester && second instanceof FastDigester) {
    first.updateWith(firstChunk, second, secondChunk);
    return;
  }
  first.update(firstChunk);
  second.update(secondChunk);
}

function nodesDigester(algorithm: DigestAlgorithm, hash: Hash, takenBytes: number): Digester {
  let sizeBytes = takenBytes;
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    update(chunk) {
      sizeBytes += chunk.byteLength;
      hash.update(chunk);
    },
    digest: () => `${algorithm}:${hash.digest('hex')}` as Digest,
    copy: () => nodesDigester(algorithm, hash.copy(), sizeBytes),
  };
}

class FastDigester implements Digester {
  readonly #addon: FastSha256;
  #state: Uint8Array | undefined;
  #sizeBytes: number;

  private constructor(addon: FastSha256, state: Uint8Array, sizeBytes: number) {
    this.#addon = addon;
    this.#state = state;
    this.#sizeBytes = sizeBytes;
  }

  static begin(addon: FastSha256): FastDigester {
    const state = new Uint8Array(addon.stateBytes);
    addon.begin(state);
    return new FastDigester(addon, state, 0);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(chunk: Uint8Array): void {
    this.#addon.append(this.#open(), chunk);
    this.#sizeBytes += chunk.byteLength;
  }

  /** Of another digester. */
  updateWith(chunk: Uint8Array, other: FastDigester, otherChunk: Uint8Array): void {
    this.#addon.appendBoth(this.#open(), chunk, other.#open(), otherChunk);
    this.#sizeBytes += chunk.byteLength;
    other.#sizeBytes += otherChunk.byteLength;
  }

  digest(): Digest {
    const digest = Buffer.allocUnsafe(32);
    this.#addon.finish(this.#open(), digest);
    this.#state = undefined;
    return `sha256:${digest.toString('hex')}` as Digest;
  }

  copy(): Digester {
    return new FastDigester(this.#addon, this.#open().slice(), this.#sizeBytes);
  }

  #open(): Uint8Array {
    if (this.#state === undefined) throw new Error('the digest was already called for');
    return this.#state;
  }
}
