import {
  attestationBlobs,
  chooseMember,
  indexEntries,
  maxAttestationBytes,
  presentAttestations,
  presentManifests,
  readDocument,
  targetOfName,
} from '#image';
import type { ImageRecord } from '#metadata';
import { type Descriptor, digestOf, isIndex, maxManifestBytes, mediaTypes, type Platform } from '#oci';
import { formatReference } from '#reference';
import { noTarget, type PlannedImage, planImage, type SaveBlob, saveBlob } from './save-image.ts';
import type { SelectedImage } from './save-names.ts';
import type { TransferStores } from './types.ts';

type Stores = Pick<TransferStores, 'content' | 'metadata' | 'platform'>;

/** On an entry of `index.json`: the index that it was made from, whose documents are in the archive too. */
export const originalTarget = 'io.wherry.target';

/** What is saved of one selected image: it, or the platforms of its index. */
export interface SaveSubject extends SelectedImage {
  /** With several platforms: the index, and those of its images that are here. */
  readonly index?: { readonly target: Descriptor; readonly members: readonly ImageRecord[] };
}

/**
 * One subject per target of an image's names: the image alone, or of an index those for the platforms that were asked for, else all that is here. An ID that
 * is not the one an index is shown by means its image alone.
 */
export function subjectsOf(
  stores: Stores,
  { image, references }: SelectedImage,
  platforms: readonly Platform[],
): readonly SaveSubject[] {
  const targetOf = (reference: SelectedImage['references'][number]) => targetOfName(image, formatReference(reference));
  const groups = Map.groupBy(references, (reference) => targetOf(reference).digest);
  if (groups.size === 0) groups.set(image.target.digest, []);
  return [...groups.values()].map((names) => {
    const target = names[0] ? targetOf(names[0]) : image.target;
    const members = isIndex(target.mediaType) ? stores.metadata.images.members(target.digest) : [];
    const lead = image.names.length > 0 ? image : chooseMember(members, undefined, stores.platform);
    if (members.length < 2 || lead?.id !== image.id) return { image, references: names };
    const chosen = platforms.length === 0 ? members : membersFor(stores, members, platforms);
    const first = chosen.includes(image) ? image : (chosen[0] ?? image);
    return { image: first, references: names, ...(chosen.length > 1 ? { index: { target, members: chosen } } : {}) };
  });
}

/** Each once. @throws `not-found` naming the first platform that is not here */
function membersFor(
  stores: Stores,
  members: readonly ImageRecord[],
  platforms: readonly Platform[],
): readonly ImageRecord[] {
  const found = platforms.map((platform) => {
    const member = chooseMember(members, platform, stores.platform);
    if (member) return member;
    throw noTarget(platform);
  });
  return [...new Set(found)];
}

/**
 * An index over the platforms that are here, their layers uncompressed, so that any tool can read the archive; beside it the documents of the index as it
 * is, so that a load has it again byte for byte.
 */
export async function planIndex(
  stores: Stores,
  subject: SaveSubject & Required<Pick<SaveSubject, 'index'>>,
  lead: PlannedImage,
): Promise<PlannedImage> {
  const { target, members } = subject.index;
  const entries: Descriptor[] = [];
  const blobs: SaveBlob[] = [...lead.blobs];
  for (const { descriptor, kind, manifest } of await indexEntries(stores.content, target)) {
    const image = kind === 'image' && members.find(({ id }) => id === manifest?.config.digest);
    if (!image) continue;
    const planned = await planImage(stores, { image, references: [] }, { platforms: [], parent: undefined });
    const platform = descriptor.platform ?? image.platform;
    entries.push({ ...planned.listed, ...(platform ? { platform } : {}) });
    blobs.push(...planned.blobs);
  }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
  const bytes = Buffer.from(JSON.stringify(index));
  const written = { mediaType: mediaTypes.ociIndex, digest: digestOf(bytes), size: bytes.length };
  blobs.push(saveBlob(written.digest, bytes), ...(await documentsOf(stores, target)));
  const annotations = { [originalTarget]: target.digest };
  return { ...lead, listed: written.digest === target.digest ? written : { ...written, annotations }, blobs };
}

async function documentsOf({ content }: Stores, target: Descriptor): Promise<readonly SaveBlob[]> {
  const [present, attestations] = [await presentManifests(content, target), await presentAttestations(content, target)];
  const statements = attestations.flatMap(({ manifest }) => attestationBlobs(manifest));
  const read = async ({ digest }: Descriptor, limitBytes: number) =>
    saveBlob(digest, await readDocument(content, digest, limitBytes, 'document'));
  return await Promise.all([
    ...present.map((manifest) => read(manifest, maxManifestBytes)),
    ...statements.map((statement) => read(statement, maxAttestationBytes)),
  ]);
}
