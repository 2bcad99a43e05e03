import type { Digest } from '#oci';
import { type Connection, optionalInteger, optionalText, text } from '#sqlite';
import { ChainTree } from './chain-tree.ts';
import type { BlobUse } from './types.ts';
import type { ChainHolder } from './writes/chains.ts';

interface Use {
  readonly images: Set<Digest>;
  readonly containers: Set<string>;
  isCached: boolean;
  undo: number | undefined;
}

/** Every blob with what keeps it: rows that name it by itself, and chains that go through it. */
export function blobUses(reader: Connection): BlobUse[] {
  const uses = namedUses(reader);
  const tree = new ChainTree(reader);
  for (const { chain, ...holder } of tree.holders()) {
    if (holder.kind === 'undo') continue;
    for (const diffID of tree.layers(chain)) add(uses.get(diffID), holder);
  }
  for (const [diffID, number] of tree.oldestUndo()) {
    const use = uses.get(diffID);
    if (use) use.undo = Math.min(use.undo ?? number, number);
  }
  inherit(uses, reader);
  return [...uses].map(([digest, { images, containers, ...use }]) => ({
    digest,
    images: [...images],
    containers: [...containers],
    ...use,
  }));
}

/** What is kept for the sake of layers that read its bytes is theirs, as far as nothing else uses it. */
function inherit(uses: ReadonlyMap<Digest, Use>, reader: Connection): void {
  const isUsed = ({ images, containers, isCached, undo }: Use) =>
    images.size > 0 || containers.size > 0 || isCached || undo !== undefined;
  const unused = new Set([...uses].flatMap(([digest, use]) => (isUsed(use) ? [] : digest)));
  const rows = reader.all('SELECT diff_id, source FROM layer_sources');
  // Such a layer may itself read the bytes of another.
  for (let hasChanged = true; hasChanged; ) {
    hasChanged = false;
    for (const row of rows) {
      const [use, of] = [uses.get(text(row, 'source') as Digest), uses.get(text(row, 'diff_id') as Digest)];
      if (!use || !of || !unused.has(text(row, 'source') as Digest)) continue;
      const before = sizeOf(use);
      for (const image of of.images) use.images.add(image);
      for (const container of of.containers) use.containers.add(container);
      use.isCached ||= of.isCached;
      if (of.undo !== undefined) use.undo = Math.min(use.undo ?? of.undo, of.undo);
      hasChanged ||= sizeOf(use) !== before;
    }
  }
}

function sizeOf({ images, containers, isCached, undo }: Use): string {
  return [images.size, containers.size, isCached, undo].join();
}

function namedUses(reader: Connection): Map<Digest, Use> {
  const rows = reader.all(
    `SELECT digest,
       (SELECT group_concat(image_id, ' ') FROM image_blobs WHERE image_blobs.digest = blobs.digest) AS images,
       (SELECT min(number) FROM journal_blobs WHERE journal_blobs.digest = blobs.digest) AS undo
     FROM blobs`,
  );
  return new Map(
    rows.map((row) => [
      text(row, 'digest') as Digest,
      {
        images: new Set((optionalText(row, 'images')?.split(' ') ?? []) as Digest[]),
        containers: new Set(),
        isCached: false,
        undo: optionalInteger(row, 'undo'),
      },
    ]),
  );
}

function add(use: Use | undefined, { kind, key }: ChainHolder): void {
  if (kind === 'image') use?.images.add(key as Digest);
  else if (kind === 'container') use?.containers.add(key);
  else if (use) use.isCached = true;
}
