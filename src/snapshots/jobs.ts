import { closeSync, constants, openSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { type ByteString, bytesFromUtf8 } from '#archive';
import { StoredBlob } from '#content';
import { mergeIndexes } from '#erofs';
import { sys, umountFlags } from '#sys';
import type { AbortFlag } from './abort-flag.ts';
import { copyTree } from './copy-tree.ts';
import { removeTree } from './create.ts';
import { indexLayer, lookupIn, tarSources } from './index-layer.ts';
import { whiteoutUse } from './index-whiteouts.ts';
import { readLayerTree } from './layer-file.ts';
import { mergedRoot } from './merged.ts';
import type { Job, JobResult } from './protocol.ts';
import { relocateByRecipes } from './relocate-index.ts';
import { sameBytes } from './same-bytes.ts';
import { treeDifferences } from './tree-differences.ts';
import { packIntoRing } from './upper-tar.ts';
import { treeUsage } from './usage.ts';
import { writeOverlayLayer } from './write-overlay.ts';
import { writePlainLayer } from './write-plain.ts';

const nothing: JobResult = { sizeBytes: 0, inodes: 0, standsAlone: false, whiteouts: 'none', faults: [] };
const unhurriedNice = 15;
/** More would be read by nobody. */
const maxFaults = 20;

/** Does one job, blocking; for worker threads. */
export function runJob(job: Job, abort: AbortFlag): JobResult {
  switch (job.kind) {
    case 'unpack-overlay':
      return unpackOverlay(job, abort);
    case 'unpack-plain':
      return unpackPlain(job, abort);
    case 'pack-upper':
      packIntoRing(job, abort);
      return nothing;
    case 'copy-tree':
      return copy(job, abort);
    case 'remove-tree':
      unhurried(() => removeTree(bytesFromUtf8(job.path)));
      return nothing;
    case 'sync-file-system':
      syncFileSystem(job.path);
      return nothing;
    case 'unmount':
      sys.umount(job.target, umountFlags.noFollow);
      return nothing;
    case 'index':
      return { ...nothing, ...indexLayer(job, abort) };
    case 'merge-indexes':
      return merge(job);
    case 'relocate-index': {
      const { sizeBytes, inodes } = relocateByRecipes(job);
      return { ...nothing, sizeBytes, inodes };
    }
    case 'inspect-whiteouts':
      return inspectWhiteouts(job);
    case 'compare-files':
      return { ...nothing, faults: sameBytes(job.left, job.right) ? [] : ['the index differs from its layer'] };
    case 'compare-trees': {
      const faults = [...treeDifferences(bytesFromUtf8(job.left), bytesFromUtf8(job.right)).take(maxFaults)];
      return { ...nothing, faults };
    }
  }
}

/** Nobody waits for it: whoever works goes first, on every core. The niceness is the calling thread's alone. */
function unhurried(work: () => void): void {
  const before = getPriority(0);
  setPriority(0, unhurriedNice);
  try {
    work();
  } finally {
    setPriority(0, before);
  }
}

type JobOf<K extends Job['kind']> = Extract<Job, { kind: K }>;

function merge({ indexes, index, tars }: JobOf<'merge-indexes'>): JobResult {
  using resources = new DisposableStack();
  const sourceOf = tarSources(resources, (tag) => tars[tag] ?? '');
  const { sizeBytes, inodes } = mergeIndexes({ indexes, indexPath: index, sourceOf });
  return { ...nothing, sizeBytes, inodes };
}

function inspectWhiteouts({ index, lower }: JobOf<'inspect-whiteouts'>): JobResult {
  using resources = new DisposableStack();
  // Names are looked up, no data is read.
  const whiteouts = whiteoutUse(
    index,
    lower &&
      lookupIn(
        resources,
        lower,
        tarSources(resources, () => ''),
      ),
  );
  return { ...nothing, whiteouts };
}

function unpackOverlay(job: JobOf<'unpack-overlay'>, abort: AbortFlag): JobResult {
  const target = bytesFromUtf8(job.target);
  const below = { folders: job.below.map(bytesFromUtf8), marks: job.marks };
  using tar = StoredBlob.open(job.tar);
  const tree = readLayerTree(tar, mergedRoot(below.folders, below.marks), abort);
  writeOverlayLayer({ tree, tar, abort }, target, below);
  syncFileSystem(job.target);
  return measured(target);
}

function unpackPlain(job: JobOf<'unpack-plain'>, abort: AbortFlag): JobResult {
  const target = bytesFromUtf8(job.target);
  using tar = StoredBlob.open(job.tar);
  const tree = readLayerTree(tar, mergedRoot([target]), abort);
  writePlainLayer({ tree, tar, abort }, { root: target, isBottom: job.isBottom });
  return job.counts === 'layer' ? { ...nothing, ...tree.usage() } : measured(target);
}

/** One call for many files: what is renamed into place afterwards has its data whatever happens to the machine. */
function syncFileSystem(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    sys.syncfs(fd);
  } finally {
    closeSync(fd);
  }
}

function copy(job: JobOf<'copy-tree'>, abort: AbortFlag): JobResult {
  copyTree(bytesFromUtf8(job.source), bytesFromUtf8(job.target), abort);
  return nothing;
}

function measured(target: ByteString): JobResult {
  let usage = { sizeBytes: 0, inodes: 0 };
  for (const step of treeUsage({ root: target, form: 'overlay' })) usage = step;
  return { ...nothing, ...usage };
}
