import { blameLayers } from './blame.ts';
import { compareTrees } from './compare.ts';
import { findDuplicates } from './duplicates.ts';
import { FileBytes } from './file-bytes.ts';
import { openImageTree } from './image-tree.ts';
import { lightenLayers, refillLayer } from './lighten.ts';
import type { FilesJob, TreeSource } from './protocol.ts';
import { shareFiles } from './share.ts';

/** What a job finds, as it finds it. Blocking. */
export function* runFilesJob(job: FilesJob): Generator<unknown> {
  switch (job.kind) {
    case 'compare':
      yield* compare(job);
      return;
    case 'blame':
      yield* blameLayers(job.image, job.maxFiles);
      return;
    case 'duplicates':
      yield findDuplicates(job.layers, job.maxGroups);
      return;
    case 'share':
      yield* shareFiles(job.layers);
      return;
    case 'lighten':
      yield* lightenLayers(job.layers, job.donors);
      return;
    case 'refill':
      yield refillLayer(job.layer, job.without);
      return;
    default:
      job satisfies never;
  }
}

function* compare({ before, after, times }: Extract<FilesJob, { kind: 'compare' }>): Generator<unknown> {
  using bytes = bytesOf([before, after]);
  using one = openImageTree(before);
  using other = openImageTree(after);
  yield* compareTrees({ before: one, after: other, bytes, times });
}

function bytesOf(trees: readonly TreeSource[]): FileBytes {
  const tars = new Map(trees.flatMap(({ chain, tars }) => chain.map((layer, at) => [layer, tars[at]!] as const)));
  return new FileBytes((layer) => tars.get(layer)!);
}
