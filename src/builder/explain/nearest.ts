import type { BuildCacheRecord } from '#metadata';
import type { KeyComponents } from '../executor/index.ts';

/** An earlier result and what it depended on. */
export interface EarlierStep {
  readonly record: BuildCacheRecord;
  readonly components: KeyComponents;
}

/** How much each likeness weighs: the line as written says most about what was meant to be the same step. */
const weights = { text: 8, parent: 6, line: 2, operation: 1 } as const;

/** Earlier results, to be asked for the one that a step most likely was before. */
export class EarlierSteps {
  readonly #steps: readonly EarlierStep[];

  /** `beforeMs`: results of the build that is being explained are no earlier ones. */
  constructor(records: readonly BuildCacheRecord[], beforeMs: number) {
    this.#steps = records
      .filter((record) => record.createdMs < beforeMs && isComponents(record.components))
      .map((record) => ({ record, components: record.components as KeyComponents }));
  }

  /** Undefined when nothing of the kind was built before. Of equals the one used last. */
  nearest(step: KeyComponents): EarlierStep | undefined {
    let best: EarlierStep | undefined;
    let bestScore = 0;
    for (const earlier of this.#steps) {
      const score = likeness(step, earlier.components);
      if (score === 0 || score < bestScore) continue;
      if (score === bestScore && best && earlier.record.lastUsedMs <= best.record.lastUsedMs) continue;
      [best, bestScore] = [earlier, score];
    }
    return best;
  }
}

function isComponents(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'parent' in value && 'operation' in value;
}

/** 0 is no likeness at all. Steps of one kind with quite other words are strangers, unless they stand on the same state in the same line. */
function likeness(one: KeyComponents, other: KeyComponents): number {
  if (keywordOf(one) !== keywordOf(other)) return 0;
  const isSamePlace = one.parent === other.parent && one.written?.line === other.written?.line;
  if (!isSamePlace && !haveWordsInCommon(one.written?.text, other.written?.text)) return 0;
  const score =
    (one.written?.text === other.written?.text ? weights.text : 0) +
    (one.parent === other.parent ? weights.parent : 0) +
    (one.written?.line === other.written?.line ? weights.line : 0);
  return score === 0 ? 0 : score + weights.operation;
}

/** A third of those behind the keyword, of both lines together. */
function haveWordsInCommon(one = '', other = ''): boolean {
  if (one === other) return true;
  const [left, right] = [wordsOf(one), wordsOf(other)];
  const common = [...left].filter((word) => right.has(word)).length;
  return 3 * 2 * common >= left.size + right.size;
}

function wordsOf(text: string): Set<string> {
  return new Set((text.match(/[\p{L}\p{N}_]+/gu) ?? []).slice(1));
}

/** `RUN`, `ENV`: steps of different instructions are not compared. */
function keywordOf({ written, operation }: KeyComponents): string {
  return written?.text.split(/\s/, 1)[0]?.toUpperCase() ?? operation;
}
