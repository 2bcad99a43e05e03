import type { DiffID } from '#oci';
import type { ByteSource } from '#streams';
import type { Work } from '../solver/index.ts';
import { copySources } from './copy.ts';
import { DiskTree } from './disk-tree.ts';
import { LayerDraft } from './layer-draft.ts';
import { type Moment, timeAt } from './moment.ts';
import { type Selected, selectSources } from './selection.ts';
import type { BuildSession } from './session.ts';
import { emptyTree } from './source-tree.ts';

/** Files of the context as a chain that can be mounted, and the path in it. */
export interface ContextLayer {
  readonly chain: readonly DiffID[];
  readonly source: string;
}

const fileName = 'file';

/** Files of the context become a layer of their own, which a driver mounts like any other: root's, as after a COPY. */
export async function contextLayer(
  session: BuildSession,
  selected: Selected,
  moment: Moment,
  work: Work,
): Promise<ContextLayer> {
  const draft = new LayerDraft(emptyTree);
  await using spool = session.newSpool();
  const isFolder = selected.node.type === 'directory';
  await copySources(draft, [{ ...selected, isTimeless: true }], {
    ...(moment === undefined ? {} : { moment: timeAt(moment) }),
    destination: isFolder ? '/' : `/${fileName}`,
    workingDir: '/',
    owner: { uid: 0, gid: 0 },
    unpack: () => false,
    signal: work.signal,
    store: (body) => spool.keep(body),
  });
  const source = isFolder ? '/' : `/${fileName}`;
  if (draft.isEmpty) return { chain: [], source };
  const layer = await session.ingest(draft.pack(work), work);
  return { chain: [layer.diffID], source };
}

/** A folder of the machine as the tar of a context. */
export async function packFolder(root: string, signal: AbortSignal): Promise<ByteSource> {
  const draft = new LayerDraft(emptyTree);
  const [selected] = await selectSources(new DiskTree(root), ['.'], { signal, missingPrefix: '' });
  await copySources(draft, [selected!], {
    destination: '/',
    workingDir: '/',
    owner: { uid: 0, gid: 0 },
    unpack: () => false,
    signal,
    store: () => Promise.reject(new Error('nothing is unpacked')),
  });
  return draft.pack({ signal });
}
