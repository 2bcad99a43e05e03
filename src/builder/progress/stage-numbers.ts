import type { Instruction } from '#dockerfile';
import type { BuildPlan, DraftStage } from '../convert/index.ts';

/** Steps that are counted: what changes the configuration alone is not shown. */
const counted: ReadonlySet<Instruction['kind']> = new Set(['run', 'copy', 'add', 'workdir']);

/** What stands in front of a step's name: `[linux/amd64 build 2/4]`, in the way of BuildKit's Dockerfile frontend. */
export class StageNumbers {
  readonly #plan: BuildPlan;
  readonly #platform: string;
  readonly #showsStages: boolean;
  readonly #next = new Map<number, number>();
  readonly #triggers = new Map<number, number>();

  constructor(plan: BuildPlan, platform: string) {
    this.#plan = plan;
    this.#platform = platform;
    this.#showsStages =
      plan.allStages.length > 1 || plan.allStages.some((stage) => stage.instructions.some(readsOther));
  }

  /** How a stage begins: the first of its steps. */
  fromName(stage: number, text: string): string {
    return this.#prefix(stage, 1, this.#total(stage)) + text;
  }

  /** The next step of a stage; asked for in the stage's order. */
  stepName(stage: number, text: string, isTrigger: boolean): string {
    const number = this.#next.get(stage) ?? (this.#draft(stage).base.kind === 'image' ? 2 : 1);
    this.#next.set(stage, number + 1);
    return this.#prefix(stage, number, this.#total(stage)) + (isTrigger ? 'ONBUILD ' : '') + text;
  }

  /** Triggers count once the base is known, all of them, also those that are not shown. */
  addTriggers(stage: number, count: number): void {
    this.#triggers.set(stage, count);
  }

  #total(stage: number): number {
    const { base, stage: lines } = this.#draft(stage);
    const steps = lines.instructions.filter(({ kind }) => counted.has(kind)).length;
    return (base.kind === 'image' ? 1 : 0) + steps + (this.#triggers.get(stage) ?? 0);
  }

  #prefix(stage: number, number: number, total: number): string {
    const name = this.#draft(stage).stage.name || `stage-${stage}`;
    const digits = String(total).length;
    const parts = [this.#platform, this.#showsStages ? name : '', `${String(number).padStart(digits)}/${total}`];
    return `[${parts.filter((part) => part !== '').join(' ')}] `;
  }

  #draft(stage: number): DraftStage {
    return this.#plan.stages.find((draft) => draft.stage.index === stage)!;
  }
}

/** A mount and a copy from an image are as good as another stage. */
function readsOther(instruction: Instruction): boolean {
  if (instruction.kind === 'run') return instruction.mounts.length > 0;
  return instruction.kind === 'copy' && instruction.from !== '';
}
