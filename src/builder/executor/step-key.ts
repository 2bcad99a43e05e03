import { createHash } from 'node:crypto';
import type { CacheKey } from '../solver/index.ts';
import type { StepState } from './state.ts';

/** A key over the image before the step and what the step is made of. The parts are kept for explanations. */
export function stepKey(parent: StepState, description: string, parts: Readonly<Record<string, unknown>>): CacheKey {
  const platform = `${parent.config.os}/${parent.config.architecture}${parent.config.variant ? `/${parent.config.variant}` : ''}`;
  const components = { parent: parent.imageID ?? 'scratch', platform, ...parts };
  const digest = `sha256:${createHash('sha256').update(JSON.stringify(components)).digest('hex')}`;
  return { digest, components, description };
}
