import type { StepReport } from '../executor/index.ts';
import type { BuildGraph } from '../graph.ts';
import type { VertexEvent } from '../solver/index.ts';
import type { Explainer } from './explainer.ts';

/** Notes what an event of a vertex says of the steps that it is. */
export function listen(explainer: Explainer, graph: BuildGraph, digest: string, event: VertexEvent): void {
  for (const { step, operation } of graph.byDigest.get(digest) ?? []) {
    if (event.kind === 'report') {
      const report = event.event as StepReport;
      if (report.kind === 'command') explainer.ran(step, report.durationMs);
    }
    if (!('author' in operation)) continue;
    if ((event.kind === 'hit' || event.kind === 'executing') && event.key) {
      const outcome = event.kind === 'hit' ? 'cached' : 'run';
      explainer.note({ step, outcome, key: event.key, stepBefore: stepBefore(graph, digest) });
    }
    if (event.kind === 'executed') explainer.ended(step);
  }
}

/** The step whose state a vertex goes on from: through `FROM stage` to the last of that stage. */
function stepBefore(graph: BuildGraph, digest: string): number | undefined {
  let before = graph.byDigest.get(digest)?.[0];
  do {
    const input = before?.vertex.inputs[0];
    before = input && graph.byDigest.get(input.digest)?.[0];
  } while (before?.operation.kind === 'stage');
  return !before || before.operation.kind === 'image' || before.operation.kind === 'scratch' ? undefined : before.step;
}
