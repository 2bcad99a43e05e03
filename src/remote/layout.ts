import { EngineError } from '#errdefs';
import {
  type Descriptor,
  type Digest,
  decodeDescriptor,
  digestAlgorithm,
  digestHex,
  mediaTypes,
  parseIndex,
} from '#oci';
import { formatReference, isReference, parseReference, withDefaultTag } from '#reference';

/** image-spec v1.1 image-layout.md. */
export const layoutMarker = '{"imageLayoutVersion":"1.0.0"}';
const refName = 'org.opencontainers.image.ref.name';
const containerdName = 'io.containerd.image.name';

export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/** The entry of an `index.json` that a name means; without a name the only one there is. @throws `not-found` naming what there is. */
export function findEntry(indexJson: Uint8Array, name: string | undefined, where: string): Descriptor {
  const { manifests } = parseIndex(indexJson);
  const found =
    name === undefined ? manifests : manifests.filter((entry) => namesOf(entry).includes(name) || isSame(entry, name));
  const distinct = new Set(found.map(({ digest }) => digest));
  const [first] = found;
  if (first && distinct.size === 1) return plain(first);
  const names = manifests.flatMap(namesOf).join(', ') || 'no name';
  if (name !== undefined) throw new EngineError('not-found', `${where} has no image ${name}; it has ${names}`);
  if (!first) throw new EngineError('not-found', `${where} has no image`);
  throw new EngineError('invalid-argument', `${where} has several images, say which: ${names}`);
}

function namesOf({ annotations }: Descriptor): readonly string[] {
  return [annotations?.[refName], annotations?.[containerdName]].filter((name) => name !== undefined);
}

/** `busybox` means docker.io/library/busybox:latest here as elsewhere. */
function isSame({ annotations }: Descriptor, name: string): boolean {
  const full = annotations?.[containerdName];
  return full !== undefined && isReference(name) && formatReference(withDefaultTag(parseReference(name))) === full;
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

/** The `index.json` that has the image, under its name when it has one, in place of another of that name. */
export function addEntry(indexJson: Uint8Array | undefined, top: Descriptor, name: string | undefined): string {
  const before = indexJson ? (JSON.parse(Buffer.from(indexJson).toString('utf8')) as { manifests?: unknown[] }) : {};
  const kept = (before.manifests ?? []).filter((value) => {
    const entry = decodeDescriptor(value, 'index.json');
    return name === undefined
      ? entry.digest !== top.digest || namesOf(entry).length > 0
      : entry.annotations?.[refName] !== name;
  });
  const entry = { ...plain(top), ...(name === undefined ? {} : { annotations: annotationsOf(name) }) };
  return JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, ...before, manifests: [...kept, entry] });
}

function annotationsOf(name: string): Record<string, string> {
  const isFull = /[/:]/.test(name) && isReference(name);
  return {
    [refName]: name,
    ...(isFull ? { [containerdName]: formatReference(withDefaultTag(parseReference(name))) } : {}),
  };
}
