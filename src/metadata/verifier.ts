import { readRecipeFile, sourcesOfRecipe } from '#content';
import type { DiffID, Digest } from '#oci';
import type { SnapshotDriver } from '#snapshots';
import { integer, type Row, text } from '#sqlite';
import { chainCountFaults, heldChainFaults, otherHolderFaults } from './chain-check.ts';
import { holdersOf } from './chain-tree.ts';
import { LayerSources } from './layer-sources.ts';
import type { Leases } from './leases.ts';
import { Rehasher } from './rehash.ts';
import { damagedRows, imageRowFaults } from './row-check.ts';
import type { StoreContext } from './store-context.ts';
import type { DamagedBlob, DamagedBlobsOptions, ImageTable } from './types.ts';

export interface VerifyParts {
  readonly context: StoreContext;
  readonly leases: Leases;
  readonly images: ImageTable;
  readonly driver: Pick<SnapshotDriver, 'verify'> | undefined;
}

type Options = { readonly signal?: AbortSignal | undefined };

/** Rehashes everything and cross-checks rows, files and references: one line per fault. May run beside work. */
export async function* verifyStore(parts: VerifyParts, options: Options): AsyncGenerator<string> {
  yield* await parts.context.writer.run('database.check', undefined);
  for await (const { digest, fault, harm } of damagedBlobs(parts, options)) {
    yield `blob ${digest}: ${fault}${harm.length > 0 ? `; hurts ${harm.join(', ')}` : ''}`;
  }
  const damaged = [...damagedRows(parts.context)];
  yield* damaged;
  // Nothing can be said of what cannot be read.
  if (damaged.length > 0) return;
  yield* checkReferences(parts);
  yield* checkFiles(parts);
  const knownLayers = () =>
    parts.leases.anyHeld || parts.leases.anyRecorded ? undefined : new Set(layersOf(parts.context));
  if (parts.driver) yield* parts.driver.verify(layersOf(parts.context), { knownLayers });
  options.signal?.throwIfAborted();
}

/** Reads every blob, or those after one; what is damaged counts as absent from then on, and what was is trusted again where it is right. */
export async function* damagedBlobs(
  { context, images }: Pick<VerifyParts, 'context' | 'images'>,
  options: DamagedBlobsOptions,
): AsyncGenerator<DamagedBlob> {
  await using rehasher = new Rehasher();
  for (const row of context.reader.all(
    'SELECT digest, size FROM blobs WHERE digest > ? ORDER BY digest',
    options.after ?? '',
  )) {
    options.signal?.throwIfAborted();
    const blob = { digest: text(row, 'digest') as Digest, sizeBytes: integer(row, 'size') };
    const began = performance.now();
    const fault = await rehasher.faultOf(context.content.path(blob.digest), blob, options);
    if (!fault) context.content.trust(blob.digest);
    // Collected or replaced meanwhile is no fault.
    const isFault =
      fault !== undefined && hasRow(context, blob.digest) && !context.content.storedSince(blob.digest, began);
    if (isFault) context.content.distrust(blob.digest);
    if (isFault) yield { digest: blob.digest, fault, harm: harmOf(context, images, blob.digest) };
    await options.onRead?.(blob.digest, blob.sizeBytes);
  }
}

/** What stands on a blob, as people name it. */
function harmOf(context: StoreContext, images: ImageTable, digest: Digest): string[] {
  const affected = new Set([digest]);
  // Grows while it is walked: layers that read bytes of a damaged one are damaged as well.
  for (const one of affected) for (const reader of new LayerSources(context).readersOf(one)) affected.add(reader);
  return [...new Set([...affected].flatMap((one) => harmOfOne(context, images, one)))];
}

function harmOfOne({ reader }: StoreContext, images: ImageTable, digest: Digest): string[] {
  const keys = (sql: string) => reader.all(sql, digest).map((row) => text(row, 'key'));
  const holders = holdersOf(reader, digest);
  const heldBy = (kind: string) => holders.flatMap((holder) => (holder.kind === kind ? holder.key : []));
  const byItself = keys('SELECT image_id AS key FROM image_blobs WHERE digest = ?');
  const named = [...new Set([...byItself, ...heldBy('image')])].sort().map((id) => {
    const image = images.get(id as Digest);
    return `image ${image?.names[0] ?? image?.repoDigests[0] ?? id}`;
  });
  const containers = heldBy('container').map((id) => nameOf(reader, id));
  const cached = heldBy('build-cache');
  const inJournal = keys('SELECT CAST(number AS TEXT) AS key FROM journal_blobs WHERE digest = ?');
  const undos = [...new Set([...inJournal, ...heldBy('undo')])].sort((one, other) => Number(one) - Number(other));
  return [
    ...named,
    ...containers.map((name) => `container ${name.replace(/^\//, '')}`),
    ...(cached.length > 0 ? [`${cached.length} result${cached.length === 1 ? '' : 's'} of the build cache`] : []),
    ...undos.map((number) => `undo ${number}`),
  ];
}

function nameOf(reader: StoreContext['reader'], container: string): string {
  const row = reader.get('SELECT name FROM containers WHERE id = ?', container);
  return row ? text(row, 'name') : container;
}

async function* checkReferences({ context, images }: VerifyParts): AsyncGenerator<string> {
  for (const image of images.list()) {
    const rowFaults = await Array.fromAsync(imageRowFaults(context, image));
    yield* rowFaults.length > 0 ? rowFaults : heldChainFaults(context.reader, image);
    const wanted = [image.id, image.target.digest, image.manifest.digest, ...image.diffIDs];
    for (const digest of new Set(wanted)) {
      if (!hasRow(context, digest)) yield `image ${image.id}: ${digest} is not in the store`;
    }
    for (const diffID of new Set(image.diffIDs)) {
      if (!hasLayer(context, diffID)) yield `image ${image.id}: layer ${diffID} has no record`;
    }
  }
  yield* otherHolderFaults(context.reader);
  yield* chainCountFaults(context.reader);
}

/** Files nobody knows. While work is under way they may be on their way to a row, so only an idle store is judged. */
async function* checkFiles({ context, leases }: VerifyParts): AsyncGenerator<string> {
  const { content } = context;
  yield* checkSources(context);
  for (const path of await content.strays()) yield `content/${path}: not a file of the store`;
  if (leases.anyHeld) return;
  const leased = leases.digests();
  for await (const { digest } of content.list()) {
    if (leased.has(digest) || hasRow(context, digest) || leases.anyHeld) continue;
    yield `blob ${digest}: no record names this file`;
  }
  if (leases.anyRecorded) return;
  for (const { name } of await content.ingests()) {
    if (!leases.anyHeld) yield `content/ingest/${name}: left by an earlier run`;
  }
}

/** A recipe that names a layer which is not kept for it: that may be collected. */
async function* checkSources(context: StoreContext): AsyncGenerator<string> {
  const sources = new LayerSources(context);
  for (const digest of await context.content.recipes()) {
    const bytes = await readRecipeFile(context.content.path(digest));
    // Damaged ones are told of with their blobs.
    const named = bytes ? namedSources(bytes) : [];
    const kept = new Set<string>([digest, ...sources.of(digest)]);
    for (const source of named)
      if (hasRow(context, digest) && !kept.has(source))
        yield `blob ${digest}: reads from ${source}, which is not kept for it`;
  }
}

function namedSources(bytes: Buffer): readonly Digest[] {
  try {
    return sourcesOfRecipe(bytes);
  } catch {
    return [];
  }
}

function hasRow(context: StoreContext, digest: Digest): boolean {
  return context.reader.get('SELECT 1 FROM blobs WHERE digest = ?', digest) !== undefined;
}

function hasLayer(context: StoreContext, diffID: DiffID): boolean {
  return context.reader.get('SELECT 1 FROM layers WHERE diff_id = ?', diffID) !== undefined;
}

function layersOf(context: StoreContext): DiffID[] {
  return context.reader.all('SELECT diff_id FROM layers').map((row: Row) => text(row, 'diff_id') as DiffID);
}
