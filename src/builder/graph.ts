import { createHash } from 'node:crypto';
import type { ImageConfig } from '#oci';
import { type CopyFrom, type Operation, type PlannedStage, type ResolvedBase, sourcesOf } from './convert/index.ts';
import { type BuildSession, isHeavy, opFor, type StepState } from './executor/index.ts';
import type { Vertex } from './solver/index.ts';

/** A vertex and the step it belongs to. */
export interface StepVertex {
  readonly vertex: Vertex<StepState>;
  readonly step: number;
  readonly operation: Operation;
  /** The step's last one: its result is the step's. */
  readonly endsStep: boolean;
  readonly endsStage: boolean;
  /** Printed before it. */
  readonly preface?: string;
  /** Of an operation that does something, what clients of BuildKit are shown. */
  readonly shown: string | undefined;
}

export interface BuildGraph {
  /** By vertex digest. Equal steps of two stages are one vertex with two entries. */
  readonly byDigest: ReadonlyMap<string, readonly StepVertex[]>;
  /** The vertex of each planned stage's FROM, in order. */
  readonly starts: readonly Vertex<StepState>[];
  /** The last vertex of each planned stage, in order. */
  readonly ends: readonly Vertex<StepState>[];
}

/** Planned stages to a graph: each operation after the one before it, what reads files of a stage or image after that too. */
export function buildGraph(
  session: BuildSession,
  stages: readonly PlannedStage[],
  images: ReadonlyMap<string, ResolvedBase>,
): BuildGraph {
  const byDigest = new Map<string, StepVertex[]>();
  const known = new Map<string, Vertex<StepState>>();
  const starts: Vertex<StepState>[] = [];
  const ends = new Map<number, Vertex<StepState>>();
  const vertexOf = (operation: Operation, inputs: readonly Vertex<StepState>[]): Vertex<StepState> => {
    const digest = digestOf(operation, inputs);
    const vertex = known.get(digest) ?? {
      digest,
      inputs,
      op: opFor(session, operation),
      heavy: isHeavy(operation),
    };
    known.set(digest, vertex);
    return vertex;
  };
  const vertexFrom = (from: CopyFrom): Vertex<StepState>[] => {
    if (from.kind === 'context') return [];
    if (from.kind === 'stage') return [ends.get(from.stage)!];
    return [vertexOf(imageOperation(images.get(from.reference)!), [])];
  };
  for (const stage of stages) {
    let last: Vertex<StepState> | undefined;
    for (const step of stage.steps) {
      for (const [index, operation] of step.operations.entries()) {
        const before = operation.kind === 'stage' ? ends.get(operation.stage) : last;
        const inputs = [...(before ? [before] : []), ...sourcesOf(operation).flatMap(vertexFrom)];
        const isStart = last === undefined;
        last = vertexOf(operation, inputs);
        if (isStart) starts.push(last);
        const endsStep = index === step.operations.length - 1;
        const endsStage = endsStep && step === stage.steps.at(-1);
        const preface = index === 0 ? step.preface : undefined;
        const entry = { vertex: last, step: step.number, operation, endsStep, endsStage, shown: step.shown[index] };
        const entries = byDigest.get(last.digest) ?? [];
        entries.push({ ...entry, ...(preface === undefined ? {} : { preface }) });
        byDigest.set(last.digest, entries);
      }
    }
    if (last) ends.set(stage.index, last);
  }
  return { byDigest, starts, ends: [...ends.values()] };
}

function imageOperation(base: ResolvedBase): Operation {
  const image: ImageConfig = base.config;
  return { kind: 'image', id: base.id, image, config: image.config ?? {} };
}

function digestOf(operation: Operation, inputs: readonly Vertex<StepState>[]): string {
  const hash = createHash('sha256').update(JSON.stringify({ ...operation, written: undefined }));
  for (const input of inputs) hash.update(input.digest);
  return `sha256:${hash.digest('hex')}`;
}
