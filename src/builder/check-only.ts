import type { BuildWarning } from '#api-types';
import { isKind } from '#errdefs';
import { resolveBases } from './bases.ts';
import { startBuild } from './build.ts';
import { checkBuild } from './checks.ts';
import type { BuildPlan, ResolvedBase } from './convert/index.ts';
import { failedStep } from './failed-step.ts';
import { placeFault } from './fault.ts';
import { silently } from './progress/index.ts';
import type { BuilderHost, BuildRequest } from './types.ts';

/**
 * The checks alone, over all stages unless a target is named. Bases that are not here are pulled: their environment counts.
 * @throws as {@link buildImage} does for faults in the Dockerfile or the context, and for a base that cannot be had
 */
export async function checkOnly(host: BuilderHost, request: BuildRequest): Promise<readonly BuildWarning[]> {
  await using started = await startBuild(host, request, { allStages: request.target === '', checkOnly: true });
  const { read, plan } = started;
  try {
    const bases = await resolveBases(host, request, plan, silently);
    const { warnings } = checkBuild(host, request, read, { plan, bases });
    convertible(plan, bases);
    return warnings;
  } catch (error) {
    if (failedStep(error) !== undefined || isKind(error, 'invalid-argument')) placeFault(error, read.text, { plan });
    throw error;
  }
}

/** What only a builder with sessions can do is no fault of the Dockerfile. */
function convertible(plan: BuildPlan, bases: ReadonlyMap<number, ResolvedBase>): void {
  try {
    plan.convert(bases);
  } catch (error) {
    if (!isKind(error, 'not-implemented')) throw error;
  }
}
