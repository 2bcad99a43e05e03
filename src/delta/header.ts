import { EngineError, messageOf } from '#errdefs';
import { type Digest, isDigest } from '#oci';

export interface DeltaLayer {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** What an archive of differences begins with. */
export interface DeltaHeader {
  /** What people call the base: names of images, for messages. */
  readonly since: readonly string[];
  /** Layers of the images that are not in the archive. */
  readonly requires: readonly DeltaLayer[];
  /** Layers that pieces may copy from, by position. Only those that one does copy from have to be there. */
  readonly bases: readonly DeltaLayer[];
  /** Layers that the archive brings, in this order. */
  readonly layers: readonly DeltaLayer[];
}

const version = 1;
export const maxDeltaHeaderBytes = 4 << 20;
/** Of each list; no engine has so many layers of images that belong together. */
const maxListed = 10_000;

export function formatDeltaHeader(header: DeltaHeader): string {
  const list = (layers: readonly DeltaLayer[]) => layers.map(({ digest, sizeBytes }) => ({ digest, size: sizeBytes }));
  return `${JSON.stringify({
    version,
    since: header.since,
    requires: list(header.requires),
    bases: list(header.bases),
    layers: list(header.layers),
  })}\n`;
}

/** @throws `invalid-argument`; `not-implemented` for a version that is not known here. */
export function parseDeltaHeader(bytes: Uint8Array): DeltaHeader {
  const document = decode(bytes);
  const found = document['version'];
  if (found !== version) {
    const kind = typeof found === 'number' ? 'not-implemented' : 'invalid-argument';
    throw new EngineError(kind, `load delta: version ${JSON.stringify(found)} of the format, want ${version}`);
  }
  const since = arrayOf(document, 'since');
  if (!since.every((name) => typeof name === 'string')) throw fault('since is not a list of names');
  return {
    since: since as string[],
    requires: layersOf(document, 'requires'),
    bases: layersOf(document, 'bases'),
    layers: layersOf(document, 'layers'),
  };
}

function decode(bytes: Uint8Array): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof document === 'object' && document !== null && !Array.isArray(document))
      return document as Record<string, unknown>;
  } catch (cause) {
    throw new EngineError('invalid-argument', `load delta: its header is no JSON: ${messageOf(cause)}`, { cause });
  }
  throw fault('not an object');
}

function arrayOf(document: Record<string, unknown>, name: string): readonly unknown[] {
  const value = document[name];
  if (!Array.isArray(value)) throw fault(`${name} is not a list`);
  if (value.length > maxListed) throw fault(`${name} has more than ${maxListed} items`);
  return value;
}

function layersOf(document: Record<string, unknown>, name: string): readonly DeltaLayer[] {
  return arrayOf(document, name).map((item) => {
    const { digest, size } = (item ?? {}) as { digest?: unknown; size?: unknown };
    const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
    if (typeof digest !== 'string' || !isDigest(digest) || !isSize)
      throw fault(`an item of ${name} is not a digest and a size`);
    return { digest, sizeBytes: size };
  });
}

function fault(fact: string): EngineError {
  return new EngineError('invalid-argument', `load delta: bad header: ${fact}`);
}
