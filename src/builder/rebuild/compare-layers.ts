import type { RebuiltFile } from '#api-types';
import { utf8FromBytes } from '#archive';
import type { ContentStore } from '#content';
import type { DiffID } from '#oci';
import { causeOfContent, causeOfPresence, causeOfTime, firstDifference } from './causes.ts';
import { type LayerFile, layerFiles, startOf } from './layer-files.ts';

/** A rewritten tree has thousands. */
const maxFiles = 20;

export interface ComparedLayers {
  readonly content: Pick<ContentStore, 'open'>;
  readonly image: DiffID;
  readonly rebuilt: DiffID;
  /** The command that left them, for guesses. */
  readonly text: string;
  readonly signal: AbortSignal;
}

/** What two layers that should be equal differ in, file by file in the order of their paths. */
export async function compareLayers(
  layers: ComparedLayers,
): Promise<{ readonly files: readonly RebuiltFile[]; readonly moreFiles: number }> {
  const [before, after] = await Promise.all([
    layerFiles(layers.content, layers.image, layers),
    layerFiles(layers.content, layers.rebuilt, layers),
  ]);
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const differing = names.filter((name) => !isSame(before.get(name), after.get(name)));
  const files: RebuiltFile[] = [];
  for (const name of differing.slice(0, maxFiles)) {
    files.push(await compareFiles(layers, name, { before: before.get(name), after: after.get(name), differing }));
  }
  if (differing.length === 0) files.push({ path: '/', kind: 'order', hint: 'the same files in another order' });
  return { files, moreFiles: Math.max(0, differing.length - maxFiles) };
}

interface Pair {
  readonly before: LayerFile | undefined;
  readonly after: LayerFile | undefined;
  readonly differing: readonly string[];
}

async function compareFiles(layers: ComparedLayers, name: string, { before, after, differing }: Pair) {
  const path = `/${utf8FromBytes(name)}`;
  if (!before || !after) {
    const kind = before ? 'only-in-image' : 'only-in-rebuild';
    return { path, kind, ...causeOfPresence(path, layers.text, differing) } satisfies RebuiltFile;
  }
  if (before.digest !== after.digest && before.entry.type === after.entry.type) {
    return { path, ...(await compareContents(layers, path, before, after)) };
  }
  const [attribute, values] = Object.entries(attributesOf(before))
    .map(([attribute, image]) => [attribute, [image, attributesOf(after)[attribute]!]] as const)
    .find(([, [image, rebuilt]]) => image !== rebuilt)!;
  const [image, rebuilt] = values;
  return {
    ...{ path, kind: 'attribute' as const, attribute, image, rebuilt },
    ...(attribute === 'mtime' ? causeOfTime(path) : {}),
  };
}

async function compareContents(layers: ComparedLayers, path: string, before: LayerFile, after: LayerFile) {
  const [image, rebuilt] = await Promise.all([
    startOf(layers.content, layers.image, before.entry),
    startOf(layers.content, layers.rebuilt, after.entry),
  ]);
  const offset = firstDifference(image, rebuilt);
  return { kind: 'content' as const, offset, ...causeOfContent({ path, image, rebuilt, offset, text: layers.text }) };
}

function isSame(one: LayerFile | undefined, other: LayerFile | undefined): boolean {
  if (!one || !other) return false;
  return one.digest === other.digest && JSON.stringify(attributesOf(one)) === JSON.stringify(attributesOf(other));
}

/** In the order in which they are told. */
function attributesOf({ entry }: LayerFile): Record<string, string> {
  const xattrs = [...entry.xattrs].map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`);
  return {
    type: entry.type,
    target: utf8FromBytes(entry.linkPath),
    device: `${entry.devMajor}:${entry.devMinor}`,
    mode: entry.mode.toString(8),
    owner: `${entry.uid}:${entry.gid}`,
    xattrs: xattrs.sort().join(' '),
    mtime: `${entry.mtime.sec}.${String(entry.mtime.nsec).padStart(9, '0')}`,
  };
}
