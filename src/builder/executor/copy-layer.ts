import type { StoredLayer } from '#image';
import { type CopyOperation, octalMode, parseModeChange } from '../convert/index.ts';
import type { Work } from '../solver/index.ts';
import { type CopyOptions, copySources } from './copy.ts';
import { clampAt, type Moment, timeAt } from './moment.ts';
import { resolveOwner } from './owners.ts';
import type { Found } from './selection.ts';
import type { BuildSession } from './session.ts';
import type { StepState } from './state.ts';

export interface LayerCopy extends Pick<CopyOptions, 'onTheirWay'> {
  readonly parent: StepState;
  readonly moment: Moment;
  readonly sources: readonly Found[];
  readonly keepsOwners: boolean;
}

/** Makes the layer of a COPY or ADD over its parent; undefined when it would be empty. */
export async function copyLayer(
  session: BuildSession,
  operation: CopyOperation,
  { parent, moment, sources, keepsOwners, onTheirWay = false }: LayerCopy,
  work: Work,
): Promise<StoredLayer | undefined> {
  const { keyword, destination, workingDir, chown, chmod } = operation;
  const draft = await session.draft(parent, work);
  await using spool = session.newSpool();
  const root = { uid: 0, gid: 0 };
  const change = chmod === '' ? undefined : parseModeChange(chmod);
  await copySources(draft, sources, {
    destination,
    workingDir,
    owner: chown !== '' ? await resolveOwner(draft, chown) : keepsOwners ? undefined : root,
    unpack: (source) => operation.unpack ?? (keyword === 'ADD' && source.isRemote !== true),
    ...(change
      ? {
          mode: (node) => (node.type === 'symlink' ? 0o777 : change(node.mode, node.type === 'directory')),
          folderMode: octalMode(chmod),
        }
      : {}),
    ...(moment === undefined ? {} : { moment: timeAt(moment) }),
    onTheirWay,
    signal: work.signal,
    store: (body) => spool.keep(body),
  });
  if (draft.isEmpty) return undefined;
  return await session.ingest(draft.pack({ signal: work.signal, clamp: clampAt(moment) }), work);
}
