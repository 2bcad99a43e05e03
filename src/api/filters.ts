import type { Filters } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import { isObject, type JsonValue, unmarshal } from './go-json.ts';

/**
 * Both spellings of filters: `{"label":{"a=b":true}}` and `{"label":["a=b"]}`. Which keys a call knows is the engine's matter.
 * @throws `invalid-argument`.
 */
export function parseFilters(text: string): Filters {
  if (text === '') return {};
  const value = parse(text);
  if (value === null) return {};
  if (!isObject(value)) throw invalid();
  const entries = Object.entries(value);
  const asLists = entries.every(([, values]) => values === null || Array.isArray(values));
  return Object.fromEntries(entries.map(([key, values]) => [key, asLists ? listed(values) : keyed(values)] as const));
}

function parse(text: string): JsonValue {
  try {
    return unmarshal(text);
  } catch (cause) {
    throw invalid(cause);
  }
}

function listed(values: JsonValue | undefined): readonly string[] {
  const list = (values ?? []) as readonly JsonValue[];
  if (!list.every((value) => typeof value === 'string')) throw invalid();
  return list as readonly string[];
}

function keyed(values: JsonValue | undefined): readonly string[] {
  if (values === null || values === undefined) return [];
  if (!isObject(values) || !Object.values(values).every((value) => typeof value === 'boolean')) throw invalid();
  return Object.keys(values);
}

function invalid(cause?: unknown): EngineError {
  return new EngineError('invalid-argument', 'invalid filter', { cause: cause && messageOf(cause) });
}
