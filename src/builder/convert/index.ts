export { predefinedArguments } from './arguments.ts';
export { octalMode, parseModeChange } from './file-mode.ts';
export { contextName } from './named-contexts.ts';
export type * from './operations.ts';
export { sourcesOf } from './operations.ts';
export { BuildPlan, type DraftStage, type PlanOptions, type ResolvedBase } from './plan.ts';
export { sourceKind } from './remote-sources.ts';
export { copyFrom, NeededStages, stageNamed, stagesUpTo } from './stages.ts';
