import { type CopyFrom, type Operation, type PlannedStage, sourceKind } from './convert/index.ts';
import { cleanTreePath } from './executor/index.ts';

/** Beyond it whoever lists the files is better off without being told. */
const maxPaths = 500;

/** What planned stages read of each context, by its name; a context is not named when that may be anything in it. */
export function neededFiles(stages: readonly PlannedStage[]): ReadonlyMap<string, readonly string[]> {
  const needed = new Map<string, Set<string>>();
  for (const { steps } of stages) {
    for (const { from, path } of steps.flatMap(({ operations }) => operations.flatMap(readsOf))) {
      if (from.kind !== 'context') continue;
      const name = from.name ?? '';
      const paths = needed.get(name) ?? new Set();
      needed.set(name, paths.add(cleanTreePath(path)));
    }
  }
  return new Map(
    [...needed].flatMap(([name, paths]) => {
      const isBounded = paths.size <= maxPaths && [...paths].every((path) => path !== '' && !path.includes('**'));
      return isBounded ? [[name, [...paths].sort()] as const] : [];
    }),
  );
}

function readsOf(operation: Operation): readonly { readonly from: CopyFrom; readonly path: string }[] {
  if (operation.kind === 'copy') {
    const { from, sources, keyword } = operation;
    return sources.filter((path) => keyword === 'COPY' || sourceKind(path) === 'local').map((path) => ({ from, path }));
  }
  if (operation.kind !== 'run') return [];
  return operation.mounts.flatMap((mount) => {
    if (mount.kind === 'bind') return [{ from: mount.from, path: mount.source }];
    return mount.kind === 'cache' && mount.seed ? [{ from: mount.seed.from, path: mount.seed.source }] : [];
  });
}
