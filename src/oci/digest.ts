import { createHash } from 'node:crypto';
import { EngineError } from '#errdefs';
import type { ChainID, DiffID, Digest, DigestAlgorithm } from './types.ts';

const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };
const supported: ReadonlySet<string> = new Set<DigestAlgorithm>(['sha256', 'sha512']);
const grammar = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

/**
 * image-spec v1.1 descriptor.md §digests, for the registered algorithms that this engine stores.
 * @throws `invalid-argument` in the words of Docker's digest library.
 */
export function parseDigest(text: string): Digest {
  const fault = digestFault(text);
  if (fault) throw new EngineError('invalid-argument', fault);
  return text as Digest;
}

export function isDigest(text: string): text is Digest {
  return digestFault(text) === undefined;
}

/** A layer's uncompressed digest. @throws `invalid-argument`. */
export function parseDiffID(text: string): DiffID {
  return parseDigest(text) as DiffID;
}

function digestFault(text: string): string | undefined {
  if (text.length > 256 || !grammar.test(text)) return 'invalid checksum digest format';
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, colon);
  const hex = text.slice(colon + 1);
  const wanted = hexLengths[algorithm];
  if (wanted === undefined) return 'unsupported digest algorithm';
  if (hex.length !== wanted) return 'invalid checksum digest length';
  if (!/^[a-f0-9]+$/.test(hex)) return 'invalid checksum digest format';
  return supported.has(algorithm) ? undefined : 'unsupported digest algorithm';
}

/** The digest of bytes already in memory. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/**
 * image-spec v1.1 config.md §layer-chainid: one chainID per layer, from the bottom up; the last names the whole chain.
 */
export function chainIDs(diffIDs: readonly DiffID[]): readonly ChainID[] {
  const chain: ChainID[] = [];
  for (const diffID of diffIDs) {
    const below = chain.at(-1);
    chain.push(below === undefined ? (diffID as string as ChainID) : chainAbove(`${below} ${diffID}`));
  }
  return chain;
}

/** Chains are asked for again and again, layer by layer as they grow: hashed each time, a deep one would cost the square of its depth. */
const knownChains = new Map<string, ChainID>();
const maxKnownChains = 8192;

/** image-spec v1.1 config.md §layer-chainid: of `<chainID> <diffID>`. */
function chainAbove(link: string): ChainID {
  const known = knownChains.get(link);
  if (known !== undefined) return known;
  const made = digestOf(link) as string as ChainID;
  if (knownChains.size === maxKnownChains) knownChains.clear();
  knownChains.set(link, made);
  return made;
}

/** The chainID of the whole chain; `undefined` for no layers. */
export function chainID(diffIDs: readonly DiffID[]): ChainID | undefined {
  return chainIDs(diffIDs).at(-1);
}
