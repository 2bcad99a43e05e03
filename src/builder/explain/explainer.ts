import type { BuildCause, BuildStepExplanation } from '#api-types';
import type { BuildCacheRecord } from '#metadata';
import type { KeyComponents } from '../executor/index.ts';
import type { CacheKey } from '../solver/index.ts';
import { causesOf } from './causes.ts';
import type { FilesNow } from './files.ts';
import { EarlierSteps } from './nearest.ts';

/** What became of a step. */
export interface StepOutcome {
  readonly step: number;
  readonly key: CacheKey;
  readonly outcome: 'cached' | 'run';
  /** The step whose result it stands on; undefined on a base image. */
  readonly stepBefore: number | undefined;
}

export interface ExplainerOptions extends FilesNow {
  /** As they were when the build began. */
  readonly records: readonly BuildCacheRecord[];
  readonly startedMs: number;
  readonly noCache: boolean;
  /** Why a result that was there is there no more. */
  lost(key: string): 'pruned' | 'image-removed' | undefined;
}

/** Collects what the steps of one build did, and says why. */
export class Explainer {
  readonly #options: ExplainerOptions;
  readonly #outcomes = new Map<string, StepOutcome>();
  readonly #times = new Map<number, { startedMs: number; tookMs?: number; commandMs?: number }>();

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  note(outcome: StepOutcome): void {
    this.#outcomes.set(`${outcome.step} ${outcome.key.digest}`, outcome);
    if (outcome.outcome === 'run') this.#times.set(outcome.step, { startedMs: performance.now() });
  }

  /** The command of a step that runs took so long. */
  ran(step: number, commandMs: number): void {
    const times = this.#times.get(step);
    if (times) times.commandMs = commandMs;
  }

  /** A step that ran has its result. */
  ended(step: number): void {
    const times = this.#times.get(step);
    if (times) times.tookMs = performance.now() - times.startedMs;
  }

  /** In the order of the steps. */
  async explain(): Promise<BuildStepExplanation[]> {
    const { records, startedMs } = this.#options;
    const earlier = new EarlierSteps(records, startedMs);
    const explanations: BuildStepExplanation[] = [];
    const wasLost = (step: number | undefined) =>
      explanations.some(
        (one) => one.step === step && one.causes.length > 0 && !one.causes.some(({ kind }) => kind === 'new'),
      );
    for (const outcome of [...this.#outcomes.values()].sort((a, b) => a.step - b.step)) {
      const components = outcome.key.components as KeyComponents;
      explanations.push({
        step: outcome.step,
        text: components.written?.text ?? outcome.key.description,
        line: components.written?.line ?? 0,
        outcome: outcome.outcome,
        causes: outcome.outcome === 'cached' ? [] : await this.#causes(outcome, components, earlier, wasLost),
        ...this.#timesOf(outcome.step),
      });
    }
    return explanations;
  }

  #timesOf(step: number): Pick<BuildStepExplanation, 'tookMs' | 'commandMs'> {
    const { tookMs, commandMs } = this.#times.get(step) ?? {};
    return {
      ...(tookMs === undefined ? {} : { tookMs: Math.round(tookMs) }),
      ...(commandMs === undefined ? {} : { commandMs: Math.round(commandMs) }),
    };
  }

  async #causes(
    { key, stepBefore }: StepOutcome,
    components: KeyComponents,
    earlier: EarlierSteps,
    wasLost: (step: number | undefined) => boolean,
  ): Promise<readonly BuildCause[]> {
    if (this.#options.noCache) return [{ kind: 'no-cache' }];
    const lost = this.#options.lost(key.digest);
    if (lost) return [{ kind: lost }];
    const nearest = earlier.nearest(components);
    // What follows a lost result is no more new than that was.
    if (!nearest) return wasLost(stepBefore) ? [{ kind: 'step-before', step: stepBefore! }] : [{ kind: 'new' }];
    return await causesOf(nearest.components, components, {
      digestAs: (path, changed) => this.#options.digestAs(path, changed),
      ignoredBy: (path) => this.#options.ignoredBy(path),
      linesOf: (content) => this.#options.linesOf(content),
      ...(stepBefore === undefined ? {} : { stepBefore }),
    });
  }
}
