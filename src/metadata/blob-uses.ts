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
  return [...uses].map(([digest, { images, containers, ...use }]) => ({
    digest,
    images: [...images],
    containers: [...containers],
    ...use,
  }));
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
