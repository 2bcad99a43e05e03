import type { StoredLayer } from '#image';
import type { CopyOperation } from '../convert/index.ts';
import type { Work } from '../solver/index.ts';
import { copyLayer, type LayerCopy } from './copy-layer.ts';
import { type Found, filesOf, walkSelected } from './selection.ts';
import type { BuildSession } from './session.ts';
import type { StepState } from './state.ts';
import type { KeyComponents } from './step-key.ts';

/** Less is here before it would be worth beginning. */
const aheadFromBytes = 4 << 20;

export interface LayerAhead {
  readonly layer: Promise<StoredLayer | undefined>;
}

/**
 * Where nothing was ever copied on a state in this way, no record can have the key of a step: if much has yet to come, its layer is made while it
 * comes, not when all of it was hashed. Undefined where that is not so.
 */
export async function copyAhead(
  session: BuildSession,
  operation: CopyOperation,
  copy: LayerCopy,
  work: Work,
): Promise<LayerAhead | undefined> {
  const { keyword, from, sources, inline } = operation;
  const isPlain = keyword === 'COPY' && from.kind === 'context' && sources.length + inline.length === 1;
  if (!isPlain || !(await isMuchToCome(copy.sources)) || !isFirst(session, operation, copy.parent)) return undefined;
  // What goes wrong with it is told to who waits for the digests.
  const { tree } = copy.sources[0]!;
  tree.expect!(await filesOf(copy.sources), 'contents').catch(() => {});
  const layer = session.begin(
    (signal) => copyLayer(session, operation, { ...copy, onTheirWay: true }, { ...work, signal }),
    work,
  );
  return { layer };
}

/** Whether these are files from afar that are worth being waited for one by one. */
async function isMuchToCome(sources: readonly Found[]): Promise<boolean> {
  let sizeBytes = 0;
  for (const source of sources) {
    if (!source.tree.expect || !source.tree.place) return false;
    for (const { node } of await walkSelected(source)) sizeBytes += node.sizeBytes;
  }
  return sizeBytes >= aheadFromBytes;
}

function isFirst({ request, host }: BuildSession, { keyword }: CopyOperation, { imageID }: StepState): boolean {
  if (request.cacheFrom.length > 0) return false;
  return !host.metadata.buildCache.list().some((record) => {
    const { parent, operation } = record.components as KeyComponents;
    return parent === (imageID ?? 'scratch') && operation === keyword;
  });
}
