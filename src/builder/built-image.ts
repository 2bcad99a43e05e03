import { EngineError } from '#errdefs';
import type { Written } from './convert/index.ts';
import type { StepState } from './executor/index.ts';
import type { BuildGraph } from './graph.ts';
import type { BuiltImage } from './types.ts';

/** The last stage's state is the build's; it stands on `base`, an image or another stage's state. */
export interface Solved {
  /** By digest of their vertices. */
  readonly states: ReadonlyMap<string, StepState>;
  readonly end: StepState;
  readonly base: StepState | undefined;
}

/** The result with the lines that made its layers: from the end through the stages it stands on. */
export function builtImage(end: StepState, graph: BuildGraph, { states, base }: Solved): BuiltImage {
  const steps = new Map<number, Written>();
  let baseLayers = 0;
  for (let vertex = graph.ends.at(-1); vertex; vertex = vertex.inputs[0]) {
    const below = vertex.inputs[0] ? states.get(vertex.inputs[0].digest)!.layers.length : 0;
    const operation = graph.byDigest.get(vertex.digest)?.[0]?.operation;
    const written = operation && 'written' in operation ? operation.written : undefined;
    const { length } = states.get(vertex.digest)!.layers;
    if (operation?.kind === 'image') baseLayers = length;
    else if (written && length > below) steps.set(below, written);
  }
  if (end !== states.get(graph.ends.at(-1)!.digest)) {
    // Squashed: one layer on what the last FROM gave, of no line in particular.
    for (let at = base?.layers.length ?? 0; steps.has(at); at++) steps.delete(at);
  }
  return { id: end.imageID ?? noImage(), config: end.config, baseLayers, steps };
}

/** @throws EngineError in dockerd's words, for a Dockerfile without a step over scratch */
export function noImage(): never {
  throw new EngineError('invalid-argument', 'No image was generated. Is your Dockerfile empty?');
}
