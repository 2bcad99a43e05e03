import { type Digest, digestAlgorithm, digestHex, isDigest } from '#oci';

/** The first member of an archive of differences. */
export const deltaHeaderName = 'wherry-delta.json';
export const deltaFolder = 'delta/';

/** A piece's member: `delta/<layer's algorithm>/<hex>/<number>-<SHA-256 of the piece>`. */
export function pieceName(layer: Digest, number: number, piece: Digest): string {
  return `${deltaFolder}${digestAlgorithm(layer)}/${digestHex(layer)}/${number}-${digestHex(piece)}`;
}

/** What a piece's name says; undefined when it says nothing. */
export function parsePieceName(name: string): { layer: Digest; number: number; piece: Digest } | undefined {
  const match = /^delta\/([^/]+)\/([^/]+)\/(\d{1,9})-([0-9a-f]{64})$/.exec(name);
  if (!match) return undefined;
  const [, algorithm, hex, number, piece] = match;
  const layer = `${algorithm}:${hex}`;
  return isDigest(layer) ? { layer, number: Number(number), piece: `sha256:${piece}` as Digest } : undefined;
}
