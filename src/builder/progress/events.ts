import type { BuildWarning } from '#api-types';
import type { ReadWarning } from '#dockerfile';
import type { ProgressMessage } from '#transfer';
import type { BuildPlan, PlannedStage } from '../convert/index.ts';
import type { StepState } from '../executor/index.ts';
import type { DockerfileText } from '../fault.ts';
import type { BuildGraph } from '../graph.ts';
import type { VertexEvent } from '../solver/index.ts';

/** What happens in a build, in order, for all who tell of it; each words it for its clients. */
export type BuildEvent =
  /** Read and understood; nothing has run. */
  | {
      readonly kind: 'planned';
      readonly plan: BuildPlan;
      readonly warnings: readonly ReadWarning[];
      readonly remark: string | undefined;
    }
  /** An image that a step names is looked up, and pulled where need be. */
  | ({ readonly kind: 'image'; readonly reference: string } & ImageProgress)
  | { readonly kind: 'checked'; readonly warnings: readonly BuildWarning[]; readonly text: DockerfileText }
  | { readonly kind: 'graph'; readonly graph: BuildGraph; readonly stages: readonly PlannedStage[] }
  | { readonly kind: 'vertex'; readonly digest: string; readonly event: VertexEvent }
  | { readonly kind: 'result'; readonly digest: string; readonly state: StepState };

export type ImageProgress = { readonly step: number } & (
  | { readonly state: 'started' | 'done' }
  | { readonly state: 'progress'; readonly message: ProgressMessage }
  | { readonly state: 'failed'; readonly error: unknown }
);

/** Must not throw: a build does not fail because of who listens to it. */
export type Tell = (event: BuildEvent) => void;

/** To nobody. */
export const silently: Tell = () => {};
