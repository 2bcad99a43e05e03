import { EngineError, isKind } from '#errdefs';
import { type Descriptor, type Index, isAttestation, isIndex, type Manifest } from '#oci';
import { readTarget } from './documents.ts';
import { type ImageSource, maxIndexDepth, maxIndexEntries } from './resolve.ts';

/** A leaf of an index. */
export interface IndexEntry {
  readonly descriptor: Descriptor;
  readonly kind: 'image' | 'attestation' | 'unknown';
  /** When the document is here. */
  readonly manifest?: Manifest;
}

/** What an index names, nested indexes included, in its order; what is not here as well. A manifest is its own only entry. */
export async function indexEntries(content: ImageSource, target: Descriptor): Promise<readonly IndexEntry[]> {
  const document = await readTarget(content, target);
  if (document.kind === 'manifest') return [{ descriptor: target, kind: 'image', manifest: document.manifest }];
  const entries: IndexEntry[] = [];
  await visit(content, document.index, { depth: 1, entries });
  return entries;
}

async function visit(
  content: ImageSource,
  index: Index,
  { depth, entries }: { depth: number; entries: IndexEntry[] },
): Promise<void> {
  for (const descriptor of index.manifests) {
    if (entries.length >= maxIndexEntries)
      throw new EngineError('invalid-argument', `read index: more than ${maxIndexEntries} manifests`);
    const document = (await content.stat(descriptor.digest)) && (await readable(content, descriptor));
    if (document?.kind === 'index') {
      if (depth >= maxIndexDepth)
        throw new EngineError('invalid-argument', `read index: nested deeper than ${maxIndexDepth}`);
      await visit(content, document.index, { depth: depth + 1, entries });
    } else {
      const manifest = document ? { manifest: document.manifest } : {};
      entries.push({ descriptor, kind: kindOf(descriptor), ...manifest });
    }
  }
}

function kindOf(descriptor: Descriptor): IndexEntry['kind'] {
  if (isAttestation(descriptor)) return 'attestation';
  return isIndex(descriptor.mediaType) || descriptor.platform?.os === 'unknown' ? 'unknown' : 'image';
}

/** An artifact of a kind that is not known here is an entry like one that is not here. */
async function readable(content: ImageSource, descriptor: Descriptor) {
  try {
    return await readTarget(content, descriptor);
  } catch (error) {
    if (isKind(error, 'invalid-argument') || isKind(error, 'not-found')) return undefined;
    throw error;
  }
}
