import { createHash } from 'node:crypto';
import type { Written } from '../convert/index.ts';
import type { CacheKey } from '../solver/index.ts';
import type { Moment } from './moment.ts';
import type { FileComponent } from './selection.ts';
import type { StepState } from './state.ts';

/** What a record keeps of a step: what its key is made of, and the line it came from, which the digest leaves out. */
export interface KeyComponents {
  readonly parent: string;
  readonly platform: string;
  readonly operation: string;
  readonly written?: Written;
  readonly files?: readonly FileComponent[];
  readonly [part: string]: unknown;
}

/** The part of a key that tells when its step takes place; by the clock, any time will do. */
export function timePart(moment: Moment): { readonly buildTime?: number } {
  return moment === undefined ? {} : { buildTime: moment };
}

/** A key over the image before the step and what the step is made of. The parts are kept for explanations. */
export function stepKey(
  parent: StepState,
  description: string,
  parts: Readonly<Record<string, unknown>> & { readonly operation: string },
  written: Written | undefined,
): CacheKey {
  const platform = `${parent.config.os}/${parent.config.architecture}${parent.config.variant ? `/${parent.config.variant}` : ''}`;
  const components = { parent: parent.imageID ?? 'scratch', platform, ...parts };
  const digest = `sha256:${createHash('sha256').update(JSON.stringify(components)).digest('hex')}`;
  return {
    digest,
    components: { ...components, ...(written ? { written } : {}) } satisfies KeyComponents,
    description,
  };
}
