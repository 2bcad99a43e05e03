export type { BuildContext } from './build-context.ts';
export { packFolder } from './context-layer.ts';
export { ContextTree } from './context-tree.ts';
export { type HashedHeader, startFileHash } from './file-hash.ts';
export { ForeignCache } from './foreign-cache.ts';
export type { GitHelp } from './git-access.ts';
export { checkOut, parseGitReference } from './git-source.ts';
export { isArchive } from './inflate.ts';
export { isHeavy, opFor } from './ops.ts';
export { pace } from './pace.ts';
export { Recorder } from './recorder.ts';
export type { StepReport } from './report.ts';
export { componentLines, type FileComponent } from './selection.ts';
export { BuildSession, chainOf } from './session.ts';
export {
  cleanTreePath,
  emptyTree,
  parentOf,
  plainFolder,
  printable,
  type SourceTree,
  statPath,
  type TreeNode,
  toBytes,
  type Walked,
  walkTree,
} from './source-tree.ts';
export type { StepState } from './state.ts';
export type { KeyComponents } from './step-key.ts';
export { Views } from './views.ts';
