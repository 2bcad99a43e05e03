import { createHash } from 'node:crypto';
import { formatReference, parseReference, withDefaultTag } from '#reference';
import type { BuildPlan, CopyFrom, DraftStage, PlannedStage } from '../convert/index.ts';
import { sourcesOf } from '../convert/index.ts';
import type { BuildGraph, StepVertex } from '../graph.ts';
import { StageNumbers } from './stage-numbers.ts';
import type { ShownVertex } from './types.ts';

/** What steps read of the context. One for all platforms of a build. */
export const contextVertex: ShownVertex = named('[internal] load build context');

/** The Dockerfile itself. What the checks say is said of it. */
export function definitionVertex(name: string): ShownVertex {
  return named(`[internal] load build definition from ${name}`);
}

export const ignoreVertex: ShownVertex = named('[internal] load .dockerignore');

const inlineVertex: ShownVertex = named('[internal] preparing inline document');

/** The lookup of an image that a step names. */
export function metadataVertex(reference: string, platform: string): ShownVertex {
  return named(`[${platform === '' ? '' : `${platform} `}internal] load metadata for ${fullReference(reference)}`);
}

/**
 * The vertexes of a build as a client of BuildKit sees them: steps that only change the configuration are none, an image is one however many stages
 * start from it, and names count the steps of each stage.
 */
export class ShownVertexes {
  readonly #plan: BuildPlan;
  readonly #numbers: StageNumbers;
  readonly #platform: string;
  readonly #shown = new Map<string, ShownVertex>();
  readonly #images = new Set<string>();
  /** Of the graph's vertexes, what they are shown as. */
  readonly #byDigest = new Map<string, string>();
  /** By stage, what its last step is shown as; undefined where nothing is, over scratch. */
  readonly #ends = new Map<number, string | undefined>();

  /** @param platform named in front where a build is for several; empty otherwise */
  constructor(plan: BuildPlan, platform: string) {
    this.#plan = plan;
    this.#platform = platform;
    this.#numbers = new StageNumbers(plan, platform);
  }

  /** Last comes first, as BuildKit lists them. */
  list(graph: BuildGraph, stages: readonly PlannedStage[]): ShownVertex[] {
    const entries = Map.groupBy(
      [...graph.byDigest.values()].flat(),
      ({ step }) => this.#plan.lineOf(step)?.stage ?? -1,
    );
    const visit = (stage: number) => {
      if (this.#ends.has(stage)) return;
      this.#ends.set(stage, undefined);
      const steps = (entries.get(stage) ?? []).sort((a, b) => a.step - b.step);
      const triggers = steps.filter(({ step }) => step === steps[0]!.step).length - 1;
      for (const step of steps) this.#visitStep(stage, { ...step, triggers }, visit);
    };
    const last = stages.at(-1);
    if (last) visit(last.index);
    return [...this.#shown.values()].reverse();
  }

  /** What a vertex of the graph is shown as; undefined where it is not. */
  shownAs(digest: string): string | undefined {
    return this.#byDigest.get(digest);
  }

  isImage(shown: string): boolean {
    return this.#images.has(shown);
  }

  /** The image that a stage starts from or a step copies from, before there is a graph. */
  image(reference: string, step: number): ShownVertex {
    const stage = this.#plan.stages.findLast(({ firstStep }) => firstStep <= step);
    const isBase = stage?.firstStep === step && stage.base.kind === 'image' && stage.base.reference === reference;
    return this.#image(reference, isBase ? stage : undefined);
  }

  #visitStep(stage: number, entry: StepVertex & { triggers: number }, visit: (stage: number) => void): void {
    const { vertex, operation, shown, triggers } = entry;
    const draft = this.#plan.stages.find((each) => each.stage.index === stage)!;
    if (operation.kind === 'stage') {
      visit(operation.stage);
      this.#ends.set(stage, this.#ends.get(operation.stage));
    }
    if (operation.kind === 'image' && draft.base.kind === 'image') {
      const image = this.#keep(this.#image(draft.base.reference, draft));
      this.#byDigest.set(vertex.digest, image.digest);
      this.#ends.set(stage, image.digest);
    }
    if (!('author' in operation)) this.#numbers.addTriggers(stage, triggers);
    if (shown === undefined) return;
    const before = this.#ends.get(stage);
    const inputs = [...(before ? [before] : []), ...this.#sources(entry, visit)];
    const name = this.#numbers.stepName(stage, shown, entry.step === draft.firstStep);
    // Two platforms may have a step in common, which is two vertexes.
    const digest = this.#platform === '' ? vertex.digest : digestOf(`${this.#platform} ${vertex.digest}`);
    this.#keep({ digest, inputs: [...new Set(inputs)], name });
    this.#byDigest.set(vertex.digest, digest);
    this.#ends.set(stage, digest);
  }

  #sources({ operation }: StepVertex, visit: (stage: number) => void): string[] {
    const isInline = (operation.kind === 'copy' && operation.inline.length > 0) || 'script' in operation;
    const inputs = isInline ? [this.#keep(inlineVertex).digest] : [];
    const readsFiles = operation.kind !== 'copy' || operation.sources.length > 0;
    const found = readsFiles ? sourcesOf(operation).map((from) => this.#source(from, visit)) : [];
    return [...found.filter((digest) => digest !== undefined), ...inputs];
  }

  #source(from: CopyFrom, visit: (stage: number) => void): string | undefined {
    if (from.kind === 'context') return this.#keep(contextVertex).digest;
    if (from.kind === 'image') return this.#keep(this.#image(from.reference, undefined)).digest;
    visit(from.stage);
    return this.#ends.get(from.stage);
  }

  /** The name that is said last is the one that stays, and the place the first. */
  #keep(vertex: ShownVertex): ShownVertex {
    this.#shown.set(vertex.digest, vertex);
    return vertex;
  }

  #image(reference: string, draft: DraftStage | undefined): ShownVertex {
    const platform = draft?.base.kind === 'image' ? draft.base.platform || this.#platform : this.#platform;
    const text = `FROM ${fullReference(reference)}`;
    const name = draft ? this.#numbers.fromName(draft.stage.index, text) : text;
    const digest = digestOf(`${platform} ${text}`);
    this.#images.add(digest);
    return { digest, inputs: [], name };
  }
}

/** A vertex known by its name alone. */
export function named(name: string): ShownVertex {
  return { digest: digestOf(name), inputs: [], name };
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** With domain and tag; as written where it is no reference. */
function fullReference(reference: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(reference)) return reference;
  try {
    return formatReference(withDefaultTag(parseReference(reference)));
  } catch {
    return reference;
  }
}
