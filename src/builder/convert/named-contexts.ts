import { shellOf } from '#dockerfile';
import { familiarString, parseReference } from '#reference';
import type { NamedContext } from '../types.ts';
import type { StageScope } from './convert.ts';
import type { CopyOperation } from './operations.ts';
import type { DraftStage } from './plan.ts';

/** Further contexts of a build, by their names without `:latest`. */
export type NamedContexts = ReadonlyMap<string, NamedContext>;

export interface FoundContext {
  readonly name: string;
  readonly context: NamedContext;
}

/** The context that stands in for a stage or an image of this name. */
export function namedContext(name: string, contexts: NamedContexts | undefined): FoundContext | undefined {
  if (!contexts || contexts.size === 0 || name === '') return undefined;
  const short = contextName(name);
  const context = contexts.get(short);
  return context && { name: short, context };
}

/** `docker.io/library/a:latest` and `a` are one name; what is no reference is its own. */
export function contextName(name: string): string {
  try {
    return familiarString(parseReference(name)).replace(/:latest$/, '');
  } catch {
    return name;
  }
}

export function contextBase({ name, context }: FoundContext, platform: string): DraftStage['base'] {
  if (context.kind === 'files') return { kind: 'files', context: name };
  if (context.reference === 'scratch') return { kind: 'scratch' };
  return { kind: 'image', reference: context.reference, platform };
}

/** A stage that starts from files has them all. */
export function wholeContext(name: string, { config, author }: StageScope): CopyOperation {
  return {
    ...{ kind: 'copy', keyword: 'COPY', from: { kind: 'context', name }, sources: ['.'], destination: '/' },
    ...{ inline: [], chown: '', chmod: '', excludes: [], parents: false, keepGitDir: false, workingDir: '/' },
    ...{ shell: shellOf(config.Shell), config, author },
  };
}
