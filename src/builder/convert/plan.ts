import {
  type Dockerfile,
  expandWord,
  type Instruction,
  LocationError,
  nearestName,
  parseInstruction,
  type Stage,
  SyntaxFault,
} from '#dockerfile';
import { EngineError, messageOf } from '#errdefs';
import { type Digest, type ImageConfig, type Platform, parsePlatform, type RunConfig } from '#oci';
import { atStepSync } from '../failed-step.ts';
import { ArgumentScope, type GivenArguments, predefinedArguments, unusedArguments } from './arguments.ts';
import { convertInstruction, type StageScope } from './convert.ts';
import { contextBase, type NamedContexts, namedContext, wholeContext } from './named-contexts.ts';
import type { Operation, PlannedStage, PlannedStep } from './operations.ts';
import { shownText } from './shown-text.ts';
import { NeededStages, stageNamed, stagesUpTo } from './stages.ts';
import { checkSupported } from './support.ts';

export interface PlanOptions {
  readonly target: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly buildArgs: Readonly<Record<string, string | null>>;
  readonly networkMode: string;
  /** Also those that the target does not need. */
  readonly allStages?: boolean;
  /** Nothing of it will be executed. */
  readonly checkOnly?: boolean;
  readonly contexts?: NamedContexts | undefined;
  /** Secrets and SSH agents can be had. */
  readonly handedOver?: boolean;
  readonly buildPlatform: Platform;
  readonly targetPlatform: Platform;
}

/** A stage before its base is known. */
export interface DraftStage {
  readonly stage: Stage;
  /** Triggers of an image may make it so until all bases are there. */
  readonly needed: boolean;
  /** Number of its FROM step. */
  readonly firstStep: number;
  readonly base:
    | { readonly kind: 'scratch' }
    | { readonly kind: 'stage'; readonly stage: number }
    /** The files of a further context. */
    | { readonly kind: 'files'; readonly context: string }
    | { readonly kind: 'image'; readonly reference: string; readonly platform: string };
}

export interface ResolvedBase {
  readonly id: Digest;
  readonly config: ImageConfig;
}

/**
 * Each step has its own configuration, so that lines which only add to it cost the square of their number. No Dockerfile that anybody wrote comes near.
 */
const maxConfigEntries = 4_000_000;

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * A Dockerfile as steps, in two halves: first what is known without any image (stages, numbers, bases), then, when the bases are there, every
 * operation of the stages that the target needs. Nothing has run by then.
 */
export class BuildPlan {
  readonly stages: readonly DraftStage[];
  readonly totalSteps: number;
  /** Texts of the lines before the first FROM, which are steps too. */
  readonly metaSteps: readonly string[];
  readonly #dockerfile: Dockerfile;
  readonly #options: PlanOptions;
  readonly #given: GivenArguments;
  readonly #meta: ArgumentScope;
  readonly #needed: NeededStages;
  #configEntries = 0;

  /** @throws LocationError, EngineError `invalid-argument`, `not-implemented` */
  constructor(dockerfile: Dockerfile, options: PlanOptions) {
    this.#dockerfile = dockerfile;
    this.#options = options;
    this.#given = {
      values: options.buildArgs,
      predefined: predefinedArguments(options.buildPlatform, options.targetPlatform, options.target),
    };
    this.#meta = new ArgumentScope(this.#given);
    this.#declareMeta();
    this.metaSteps = dockerfile.metaArgs.map((arg) => arg.source);
    const stages = stagesUpTo(dockerfile, options.target).map((stage) => this.#replaced(stage));
    const { drafts, needed } = this.#draftStages(withLabels(stages, options.labels));
    this.stages = drafts;
    this.#needed = needed;
    this.totalSteps =
      this.metaSteps.length + this.stages.reduce((sum, { stage }) => sum + 1 + stage.instructions.length, 0);
    this.#checkSupported();
  }

  /** The image that a stage starts from is there: what its triggers copy from is needed as well. */
  addTriggers({ stage }: DraftStage, { OnBuild }: RunConfig): void {
    this.#needed.addTriggers(stage.index, OnBuild ?? []);
    this.#checkSupported();
  }

  #checkSupported(): void {
    if (this.#options.checkOnly) return;
    for (const { stage, needed } of this.stages) if (needed) checkSupported(stage.instructions, this.#has);
  }

  get #has() {
    return { handedOver: this.#options.handedOver ?? this.#options.checkOnly ?? false };
  }

  /** The line that a step is, and the stage it is in: 0 for those before the first FROM. */
  lineOf(step: number): { line: Stage | Instruction; stage: number } | undefined {
    const meta = this.#dockerfile.metaArgs[step - 1];
    if (meta) return { line: meta, stage: 0 };
    const draft = this.stages.findLast(({ firstStep }) => firstStep <= step);
    const line = step === draft?.firstStep ? draft.stage : draft?.stage.instructions[step - draft.firstStep - 1];
    return draft && line && { line, stage: draft.stage.index };
  }

  /** All stages of the file, also those behind the target. */
  get allStages(): readonly Stage[] {
    return this.#dockerfile.stages;
  }

  /** `--build-arg` names that nothing takes up. */
  get unusedArguments(): readonly string[] {
    const instructions = [...this.#dockerfile.metaArgs, ...this.stages.flatMap(({ stage }) => stage.instructions)];
    const declared = instructions.flatMap((instruction) => (instruction.kind === 'arg' ? instruction.definitions : []));
    return unusedArguments(this.#options.buildArgs, new Set(declared.map((definition) => definition.name)));
  }

  /**
   * The needed stages, converted. `bases` holds the image of every needed stage that starts from one.
   * @throws LocationError, EngineError
   */
  convert(bases: ReadonlyMap<number, ResolvedBase>): PlannedStage[] {
    const ends = new Map<number, RunConfig>();
    const planned: PlannedStage[] = [];
    for (const draft of this.stages) {
      if (!draft.needed) continue;
      const { steps, config } = this.#convertStage(draft, bases, ends);
      ends.set(draft.stage.index, config);
      planned.push({ index: draft.stage.index, steps });
    }
    return planned;
  }

  #declareMeta(): void {
    for (const arg of this.#dockerfile.metaArgs) {
      for (const { name, value } of arg.definitions) {
        const expand = (word: string) => this.#expandMeta(word, arg);
        this.#meta.declare(expand(name), value === undefined ? undefined : expand(value));
      }
    }
  }

  #expandMeta(word: string, at: { readonly range: Stage['range'] }): string {
    try {
      const { escape: escapeToken } = this.#dockerfile.directives;
      return expandWord(word, { escape: escapeToken, lookup: (name) => this.#meta.lookupInFrom(name) });
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error;
      throw new LocationError(error.message, at.range, { cause: error });
    }
  }

  #draftStages(stages: readonly Stage[]): { drafts: DraftStage[]; needed: NeededStages } {
    const bases = stages.map((stage) => this.#baseOf(stage, stages));
    const baseStages = new Map(
      bases.flatMap((base, index) => (base.kind === 'stage' ? [[index, base.stage] as const] : [])),
    );
    const needed = new NeededStages(stages, baseStages);
    const { allStages = false } = this.#options;
    let step = this.metaSteps.length + 1;
    const drafts = stages.map((stage, index): DraftStage => {
      const firstStep = step;
      step += 1 + stage.instructions.length;
      return {
        stage,
        get needed() {
          return allStages || needed.has(index);
        },
        firstStep,
        base: bases[index]!,
      };
    });
    return { drafts, needed };
  }

  /** A context by the name of a stage stands in for all of it. */
  #replaced(stage: Stage): Stage {
    return namedContext(stage.name, this.#options.contexts) ? { ...stage, instructions: [] } : stage;
  }

  #baseOf(stage: Stage, stages: readonly Stage[]): DraftStage['base'] {
    const replaced = namedContext(stage.name, this.#options.contexts);
    if (replaced) return contextBase(replaced, '');
    const reference = this.#expandMeta(stage.baseName, stage);
    if (reference === '') {
      const hint = this.#argumentHint(stage.baseName);
      throw new LocationError(`base name (${stage.baseName}) should not be blank`, stage.range, hint ? { hint } : {});
    }
    const platform = stage.platform === '' ? '' : this.#expandMeta(stage.platform, stage);
    checkPlatform(platform, stage);
    const earlier = stageNamed(stages, stage.index, reference);
    if (earlier !== undefined) return { kind: 'stage', stage: earlier };
    if (reference === 'scratch') return { kind: 'scratch' };
    const named = namedContext(reference, this.#options.contexts);
    return named ? contextBase(named, platform) : { kind: 'image', reference, platform };
  }

  /** For a variable in FROM that nothing declares. */
  #argumentHint(word: string): string | undefined {
    const known = [...this.#dockerfile.metaArgs.flatMap((arg) => arg.definitions.map(({ name }) => name))];
    for (const [, name = ''] of word.matchAll(/\$\{?(\w+)/g)) {
      if (known.includes(name)) continue;
      const near = nearestName(name, known);
      return `No ARG before the first FROM declares ${name}${near === undefined ? '' : `: did you mean ${near}?`}`;
    }
    return undefined;
  }

  #convertStage(
    draft: DraftStage,
    bases: ReadonlyMap<number, ResolvedBase>,
    ends: ReadonlyMap<number, RunConfig>,
  ): { steps: PlannedStep[]; config: RunConfig } {
    const start = this.#startOf(draft, bases, ends);
    const { OnBuild: triggers, ...config } = start.config;
    const scope: StageScope = {
      stages: this.stages.map(({ stage }) => stage),
      stageIndex: draft.stage.index,
      escape: this.#dockerfile.directives.escape,
      args: new ArgumentScope(this.#given, this.#meta),
      config,
      author: '',
      cmdSet: false,
      networkMode: this.#options.networkMode,
      contexts: this.#options.contexts,
    };
    const from = this.#fromStep(draft, { ...start, config }, triggers ?? [], scope);
    const steps = draft.stage.instructions.map((instruction, index): PlannedStep => {
      const number = draft.firstStep + 1 + index;
      const shown = [shownText(instruction, scope)];
      const operations = [atStepSync(number, () => convertInstruction(instruction, scope))];
      this.#count(scope.config, instruction);
      return { number, text: instruction.source, operations, shown };
    });
    return { steps: [from, ...steps], config: scope.config };
  }

  #count({ Env, Labels, Volumes, ExposedPorts }: RunConfig, { range }: Instruction): void {
    const maps = [Labels, Volumes, ExposedPorts].map((map) => Object.keys(map ?? {}).length);
    this.#configEntries += maps.reduce((sum, count) => sum + count, Env?.length ?? 0);
    if (this.#configEntries <= maxConfigEntries) return;
    const fact = `more than ${maxConfigEntries} labels, variables, ports and volumes`;
    throw new LocationError(`the configurations of its steps hold ${fact} together`, range);
  }

  #startOf(
    draft: DraftStage,
    bases: ReadonlyMap<number, ResolvedBase>,
    ends: ReadonlyMap<number, RunConfig>,
  ): Extract<Operation, { kind: 'scratch' | 'image' | 'stage' }> {
    const { base, stage } = draft;
    if (base.kind === 'scratch' || base.kind === 'files') return { kind: 'scratch', config: withPath({}) };
    if (base.kind === 'stage') {
      return { kind: 'stage', stage: base.stage, config: withPath(ends.get(base.stage) ?? {}) };
    }
    const image = bases.get(stage.index);
    if (!image) throw new EngineError('internal', `convert stage ${stage.index}: its base is not resolved`);
    return { kind: 'image', id: image.id, image: image.config, config: withPath(image.config.config ?? {}) };
  }

  #fromStep(draft: DraftStage, start: Operation, triggers: readonly string[], scope: StageScope): PlannedStep {
    const { stage, firstStep } = draft;
    const triggered = atStepSync(firstStep, () => triggers.map((text) => this.#trigger(text, scope)));
    const files = draft.base.kind === 'files' ? [wholeContext(draft.base.context, scope)] : [];
    const operations = [start, ...files, ...triggered.map(({ operation }) => operation)];
    const shown = [undefined, ...files.map(() => undefined), ...triggered.map((trigger) => trigger.shown)];
    const step = { number: firstStep, text: stage.source, operations, shown };
    if (triggers.length === 0) return step;
    return { ...step, preface: `# Executing ${triggers.length} build trigger${triggers.length > 1 ? 's' : ''}\n` };
  }

  #trigger(text: string, scope: StageScope): { operation: Operation; shown: string | undefined } {
    const instruction: Instruction = parseInstruction(text);
    checkSupported([instruction], this.#has);
    if (instruction.kind === 'onbuild' || instruction.kind === 'maintainer') {
      throw new LocationError(`${instruction.keyword} isn't allowed as an ONBUILD trigger`, instruction.range);
    }
    const shown = shownText(instruction, scope);
    return { operation: convertInstruction(instruction, scope), shown };
  }
}

function checkPlatform(platform: string, { range }: Stage): void {
  try {
    if (platform !== '') parsePlatform(platform);
  } catch (cause) {
    throw new LocationError(`failed to parse platform ${platform}: ${messageOf(cause)}`, range, { cause });
  }
}

/** `--label` adds LABEL lines to the last stage, sorted, not expanded. */
function withLabels(stages: readonly Stage[], labels: Readonly<Record<string, string>>): readonly Stage[] {
  const last = stages.at(-1);
  if (!last) throw new EngineError('invalid-argument', 'No image was generated. Is your Dockerfile empty?');
  const added = Object.keys(labels)
    .sort()
    .map((name): Instruction => {
      const value = labels[name]!;
      const pairs = [{ name, value, oldForm: false }];
      return {
        kind: 'label',
        keyword: 'LABEL',
        source: `LABEL ${name}=${value}`,
        range: last.range,
        pairs,
        literal: true,
      };
    });
  return [...stages.slice(0, -1), { ...last, instructions: [...last.instructions, ...added] }];
}

function withPath(config: RunConfig): RunConfig {
  const env = config.Env ?? [];
  return env.some((entry) => entry.startsWith('PATH=')) ? config : { ...config, Env: [...env, defaultPath] };
}
