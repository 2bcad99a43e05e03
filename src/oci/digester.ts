import { createHash } from 'node:crypto';
import { type FastSha256, fastSha256 } from './fast-sha256.ts';
import type { Digest, DigestAlgorithm } from './types.ts';

/** Hashes bytes as they pass. `digest` may be called once. */
export interface Digester {
  readonly sizeBytes: number;
  update(chunk: Uint8Array): void;
  digest(): Digest;
}

export function createDigester(algorithm: DigestAlgorithm = 'sha256'): Digester {
  const fast = algorithm === 'sha256' ? fastSha256() : undefined;
  return fast ? new FastDigester(fast) : nodesDigester(algorithm);
}

function nodesDigester(algorithm: DigestAlgorithm): Digester {
  const hash = createHash(algorithm);
  let sizeBytes = 0;
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    update(chunk) {
      sizeBytes += chunk.byteLength;
      hash.update(chunk);
    },
    digest: () => `${algorithm}:${hash.digest('hex')}` as Digest,
  };
}

class FastDigester implements Digester {
  readonly #addon: FastSha256;
  #state: Uint8Array | undefined;
  #sizeBytes = 0;

  constructor(addon: FastSha256) {
    this.#addon = addon;
    this.#state = new Uint8Array(addon.stateBytes);
    addon.begin(this.#state);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(chunk: Uint8Array): void {
    this.#addon.append(this.#open(), chunk);
    this.#sizeBytes += chunk.byteLength;
  }

  digest(): Digest {
    const digest = Buffer.allocUnsafe(32);
    this.#addon.finish(this.#open(), digest);
    this.#state = undefined;
    return `sha256:${digest.toString('hex')}` as Digest;
  }

  #open(): Uint8Array {
    if (this.#state === undefined) throw new Error('the digest was already called for');
    return this.#state;
  }
}
