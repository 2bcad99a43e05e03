import type { FileUsage } from '#api-types';
import type { DiffID } from '#oci';
import { contentList, type ListedFile, type ListedLayer } from './content-list.ts';
import { pathFields } from './describe.ts';
import { blocksWithin, phaseOf } from './share-blocks.ts';

export interface UsageLayer extends ListedLayer {
  readonly diffID: DiffID;
}

/** All but what only the engine knows: images by name, and what is shared. */
export type FoundUsage = Omit<FileUsage, 'sharedBytes' | 'groups'> & {
  readonly groups: readonly (Omit<FileUsage['groups'][number], 'files'> & { readonly files: readonly FoundFile[] })[];
};

export interface FoundFile {
  readonly path: string;
  readonly pathBytes?: string;
  readonly layer: DiffID;
}

/** Files named of each contents. */
const maxNamed = 5;

interface Group {
  readonly sizeBytes: number;
  copies: number;
  /** Bytes in whole blocks of the disk, by where in a block the contents begin: all copies but the first of a kind can share. */
  readonly phases: Map<number, number>;
  sharableBytes: number;
}

/** Which contents the layers have several times, and what that takes. Blocking. */
export function findDuplicates(layers: readonly UsageLayer[], maxGroups: number): FoundUsage {
  const groups = new Map<string, Group>();
  let files = 0;
  for (const layer of layers) {
    for (const file of contentList(layer)) {
      files++;
      count(groups, file);
    }
  }
  const all = [...groups.entries()].map(([digest, group]) => ({ digest, ...group }));
  const sum = (of: (group: Group) => number) => all.reduce((total, group) => total + of(group), 0);
  const uniqueBytes = sum(({ sizeBytes }) => sizeBytes);
  const duplicateBytes = sum(wasted);
  const worst = all
    .filter(({ copies }) => copies > 1)
    .sort((a, b) => wasted(b) - wasted(a))
    .slice(0, maxGroups);
  const named = nameFiles(layers, new Set(worst.map(({ digest }) => digest)));
  return {
    layers: layers.length,
    files,
    sizeBytes: uniqueBytes + duplicateBytes,
    uniqueBytes,
    duplicateBytes,
    sharableBytes: sum(({ sharableBytes }) => sharableBytes),
    groups: worst.map(({ digest, sizeBytes, copies, sharableBytes: _, phases: __ }) => ({
      digest: `sha256:${Buffer.from(digest, 'latin1').toString('hex')}`,
      sizeBytes,
      copies,
      wastedBytes: sizeBytes * (copies - 1),
      files: named.get(digest) ?? [],
    })),
  };
}

const wasted = ({ sizeBytes, copies }: Group) => sizeBytes * (copies - 1);

function count(groups: Map<string, Group>, { digest, sizeBytes, dataOffset }: ListedFile): void {
  let group = groups.get(digest);
  if (!group) groups.set(digest, (group = { sizeBytes, copies: 0, phases: new Map(), sharableBytes: 0 }));
  group.copies++;
  const phase = phaseOf(dataOffset);
  const { lengthBytes } = blocksWithin(dataOffset, sizeBytes);
  if (group.phases.has(phase)) group.sharableBytes += lengthBytes;
  else group.phases.set(phase, lengthBytes);
}

/** A second look at the lists costs less than the names of all files would. */
function nameFiles(layers: readonly UsageLayer[], digests: ReadonlySet<string>): Map<string, FoundFile[]> {
  const named = new Map<string, FoundFile[]>();
  if (digests.size === 0) return named;
  for (const layer of layers) {
    for (const { digest, path } of contentList(layer)) {
      if (!digests.has(digest)) continue;
      const files = named.get(digest) ?? [];
      if (files.length < maxNamed) files.push({ ...pathFields(path), layer: layer.diffID });
      named.set(digest, files);
    }
  }
  return named;
}
