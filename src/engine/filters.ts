import type { Filters } from '#api-types';
import { EngineError } from '#errdefs';

export function formatFilterError(key: string): EngineError {
  return new EngineError('invalid-argument', `invalid filter '${key}'`);
}

/** @throws `invalid-argument` in dockerd's words for a key outside `known`. */
export function checkFilterKeys(filters: Filters, known: readonly string[]): void {
  for (const key of Object.keys(filters)) if (!known.includes(key)) throw formatFilterError(key);
}

/** `key` or `key=value` against a map. */
export function matchesKeyValue(map: Readonly<Record<string, string>> | null | undefined, wanted: string): boolean {
  const at = wanted.indexOf('=');
  if (at < 0) return map !== null && map !== undefined && Object.hasOwn(map, wanted);
  return map?.[wanted.slice(0, at)] === wanted.slice(at + 1);
}

/** All of `label`, none of `label!`, as list and prune calls have it. */
export function matchesLabels(labels: Readonly<Record<string, string>> | null | undefined, filters: Filters): boolean {
  const wanted = filters['label'] ?? [];
  const unwanted = filters['label!'] ?? [];
  return (
    wanted.every((item) => matchesKeyValue(labels, item)) && !unwanted.some((item) => matchesKeyValue(labels, item))
  );
}

/** One boolean filter: exactly `true`, `1`, `false` or `0`, as dockerd reads it; undefined when the key is absent. @throws `invalid-argument`. */
export function booleanFilter(filters: Filters, key: string): boolean | undefined {
  const values = filters[key];
  if (values === undefined || values.length === 0) return undefined;
  const truths = values.map((value) => {
    if (/^(1|true)$/.test(value)) return true;
    if (/^(0|false)$/.test(value)) return false;
    throw new EngineError('invalid-argument', `invalid filter '${key}=[${values.join(' ')}]'`);
  });
  if (new Set(truths).size > 1)
    throw new EngineError('invalid-argument', `invalid filter '${key}=[${values.join(' ')}]'`);
  return truths[0];
}

/** Docker matches names as regular expressions, and plainly when the pattern is none. */
export function matchesPattern(pattern: string, text: string): boolean {
  if (pattern === text) return true;
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return false;
  }
}
