import type { BuildCacheItem, Filters } from '#api-types';
import { EngineError } from '#errdefs';

export interface CacheFilter {
  matches(item: BuildCacheItem): boolean;
  /** For a prune. @throws `not-implemented` where a prune knows no such filter */
  asFilters(): Filters;
}

const fields: Readonly<Record<string, (item: BuildCacheItem) => string>> = {
  id: ({ ID }) => ID,
  type: ({ Type }) => Type,
  description: ({ Description }) => Description,
  parents: ({ Parents }) => (Parents ?? []).join(';'),
};

/** What is either so or not. */
const flags: Readonly<Record<string, (item: BuildCacheItem) => boolean>> = {
  inuse: ({ InUse }) => InUse,
  mutable: ({ Type }) => Type === 'exec.cachemount',
  immutable: ({ Type }) => Type !== 'exec.cachemount',
  shared: ({ Shared }) => Shared,
  private: ({ Shared }) => !Shared,
};

/** All of them have to match. Clients send an empty one where they mean none. @throws `invalid-argument` */
export function parseCacheFilters(texts: readonly string[]): readonly CacheFilter[] {
  return texts.filter((text) => text !== '').map(parseCacheFilter);
}

/** One filter as clients of BuildKit send it: `type==regular`, `description~=RUN.*`, `id!=x`, or a flag as `shared`. @throws `invalid-argument` */
function parseCacheFilter(text: string): CacheFilter {
  const [, name = '', operator, value = ''] = /^(\w+)(?:(==|!=|~=|=)(.*))?$/s.exec(text) ?? [];
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (flag && (operator === undefined || value === 'true'))
    return { matches: flag, asFilters: () => ({ [name]: ['true'] }) };
  if (!field || operator === undefined)
    throw new EngineError('invalid-argument', `invalid filter ${JSON.stringify(text)}`);
  const pattern = operator === '~=' ? patternOf(value) : undefined;
  return {
    matches: (item) => {
      if (pattern) return pattern.test(field(item));
      return (field(item) === value) === (operator !== '!=');
    },
    asFilters: () => {
      if (operator === '==' || operator === '=') return { [name]: [value] };
      throw new EngineError('not-implemented', `a prune by the filter ${JSON.stringify(text)} is not supported`);
    },
  };
}

/** @throws `invalid-argument` */
function patternOf(text: string): RegExp {
  if (text.length > 200) throw new EngineError('invalid-argument', 'a filter of more than 200 characters');
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new EngineError('invalid-argument', `invalid filter pattern ${JSON.stringify(text)}`, { cause });
  }
}
