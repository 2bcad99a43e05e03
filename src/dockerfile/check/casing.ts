import type { Stage } from '../ast.ts';
import { rules } from './rules.ts';
import type { Warnings } from './warnings.ts';

/** Keywords should all be in upper or all in lower case, as most are. ARGs before the first FROM do not count. */
export function checkKeywordCasing(stages: readonly Stage[], warnings: Warnings): void {
  const lines = stages.flatMap((stage) => [stage, ...stage.instructions]);
  const lower = lines.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = lines.filter(({ keyword }) => keyword !== keyword.toLowerCase() && keyword === keyword.toUpperCase());
  const wanted = lower > upper.length ? 'lowercase' : 'uppercase';
  for (const { keyword, range } of lines) {
    if (keyword === (wanted === 'lowercase' ? keyword.toLowerCase() : keyword.toUpperCase())) continue;
    const detail = `Command '${keyword}' should match the case of the command majority (${wanted})`;
    warnings.add(rules.consistentInstructionCasing, range, detail);
  }
}
