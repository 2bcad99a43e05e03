export { ContextTree } from './context-tree.ts';
export { isHeavy, opFor } from './ops.ts';
export { Recorder } from './recorder.ts';
export type { StepReport } from './report.ts';
export { BuildSession } from './session.ts';
export { cleanTreePath, printable, statPath, toBytes } from './source-tree.ts';
export type { StepState } from './state.ts';
