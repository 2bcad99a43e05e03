import type { BuildWarning } from '#api-types';
import type { ReadWarning } from '#dockerfile';
import type { Digest } from '#oci';
import { warningText } from '../checks.ts';
import type { BuildPlan } from '../convert/index.ts';
import type { StepReport, StepState } from '../executor/index.ts';
import type { BuildGraph } from '../graph.ts';
import type { VertexEvent } from '../solver/index.ts';
import type { BuildRequest } from '../types.ts';
import type { BuildEvent } from './events.ts';
import { Transcript } from './transcript.ts';

/** Events of a build in the words of dockerd's classic builder. */
export class ClassicProgress {
  readonly #transcript: Transcript;
  #graph: BuildGraph | undefined;
  /** Until the stages that nothing needs are told. */
  #plan: BuildPlan | undefined;

  constructor(request: BuildRequest, plan: BuildPlan) {
    this.#transcript = new Transcript({ ...request, totalSteps: plan.totalSteps });
  }

  on(event: BuildEvent): void {
    switch (event.kind) {
      case 'planned':
        this.#warn(event.warnings);
        if (event.remark !== undefined) this.#transcript.warn(`[WARNING]: ${event.remark}\n`);
        this.#start(event.plan);
        break;
      case 'image':
        if (event.state !== 'progress') break;
        this.#skip();
        this.#transcript.message(event.step, event.message);
        break;
      case 'graph':
        this.#graph = event.graph;
        this.#skip();
        break;
      case 'vertex':
        this.#vertex(event.digest, event.event);
        break;
      case 'result':
        this.#result(event.digest, event.state);
        break;
      case 'checked':
        break;
      default:
        event satisfies never;
    }
  }

  /** What a failed step's command printed last, and its container where that stays. Before `fail`. */
  remainsOf(step: number): { output: string; container?: string } {
    return this.#transcript.remainsOf(step);
  }

  fail(step: number): void {
    this.#skip();
    this.#transcript.fail(step);
  }

  squashed(imageID: Digest): void {
    this.#transcript.finish([{ id: 'moby.image.id', aux: { ID: imageID } }]);
  }

  built(imageID: Digest, plan: BuildPlan, warnings: readonly BuildWarning[]): void {
    const unused = plan.unusedArguments;
    const warning = `[Warning] One or more build-args [${unused.join(' ')}] were not consumed\n`;
    this.#transcript.finish([
      ...(unused.length > 0 ? [{ stream: warning }] : []),
      ...(warnings.length > 0 ? [{ stream: warningText(warnings), warnings }] : []),
      { stream: `Successfully built ${shortID(imageID)}\n` },
    ]);
  }

  /** @param name as people write it */
  tagged(name: string): void {
    this.#transcript.finish([{ stream: `Successfully tagged ${name}\n` }]);
  }

  #warn(warnings: readonly ReadWarning[]): void {
    for (const { text } of warnings) this.#transcript.warn(`[WARNING]: ${text}\n`);
    if (warnings.length === 0) return;
    this.#transcript.warn('[WARNING]: Empty continuation lines will become errors in a future release.\n');
  }

  /** Lines before FROM are steps that are done already. */
  #start(plan: BuildPlan): void {
    this.#plan = plan;
    const transcript = this.#transcript;
    for (const [index, text] of plan.metaSteps.entries()) {
      transcript.begin(index + 1, text);
      transcript.end(index + 1);
    }
    for (const { stage, firstStep } of plan.stages) {
      transcript.begin(firstStep, stage.source);
      for (const [index, instruction] of stage.instructions.entries()) {
        transcript.begin(firstStep + 1 + index, instruction.source);
      }
    }
  }

  /**
   * Stages that nothing needs are shown and left out: told when all bases are there, as a trigger of one may need them yet, or when a pull has something to
   * tell that would wait behind them.
   */
  #skip(): void {
    const [plan, transcript] = [this.#plan, this.#transcript];
    this.#plan = undefined;
    for (const { stage, needed, firstStep } of plan?.stages ?? []) {
      if (needed) continue;
      for (let step = firstStep; step <= firstStep + stage.instructions.length; step++) {
        transcript.line(step, ' ---> Skipped: the target does not need this stage');
        transcript.end(step);
      }
    }
  }

  #vertex(digest: string, event: VertexEvent): void {
    const transcript = this.#transcript;
    for (const { step, operation, preface } of this.#graph?.byDigest.get(digest) ?? []) {
      if (event.kind === 'report') transcript.report(step, event.event as StepReport);
      if (event.kind === 'started' && operation.kind === 'config' && operation.note) {
        transcript.message(step, { stream: operation.note });
      }
      if (event.kind === 'started' && preface) transcript.message(step, { stream: preface });
      if (!('author' in operation)) continue;
      if (event.kind === 'hit') transcript.line(step, ' ---> Using cache');
      if (event.kind === 'executing' && operation.kind === 'config') transcript.pretendContainer(step);
      if (event.kind === 'executed' && operation.kind === 'workdir') transcript.pretendContainer(step);
    }
  }

  #result(digest: string, state: StepState): void {
    const transcript = this.#transcript;
    for (const { step, endsStep, endsStage } of this.#graph?.byDigest.get(digest) ?? []) {
      if (!endsStep) continue;
      transcript.line(step, ` ---> ${shortID(state.imageID)}`);
      if (endsStage && state.imageID) transcript.message(step, { aux: { ID: state.imageID } });
      transcript.end(step);
    }
  }
}

function shortID(id: Digest | undefined): string {
  return id ? id.slice(id.indexOf(':') + 1).slice(0, 12) : '';
}
