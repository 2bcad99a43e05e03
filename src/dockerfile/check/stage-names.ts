import type { Stage } from '../ast.ts';
import { splitStatement } from '../statements.ts';
import { quote, splitBlanks } from '../text.ts';
import { rules } from './rules.ts';
import type { Warnings } from './warnings.ts';

const reserved = new Set(['context', 'scratch']);

/** How a FROM is written: its `AS` and name, and whether names collide. */
export function checkStageNames(stages: readonly Stage[], escapeToken: string, warnings: Warnings): void {
  for (const stage of stages) checkFrom(stage, escapeToken, warnings);
  const seen = new Set<string>();
  for (const { name, range } of stages) {
    if (name === '') continue;
    if (reserved.has(name)) {
      warnings.add(
        rules.reservedStageName,
        range,
        `Stage name should not use the same name as reserved stage ${quote(name)}`,
      );
    }
    if (seen.has(name)) {
      warnings.add(
        rules.duplicateStageName,
        range,
        `Duplicate stage name ${quote(name)}, stage names should be unique`,
      );
    }
    seen.add(name);
  }
}

function checkFrom({ source, keyword, range }: Stage, escapeToken: string, warnings: Warnings): void {
  const [, as, name] = splitBlanks(splitStatement(source, escapeToken).rest);
  if (as === undefined || name === undefined) return;
  if (name !== name.toLowerCase()) {
    warnings.add(rules.stageNameCasing, range, `Stage name '${name}' should be lowercase`);
  }
  const isLower = keyword === keyword.toLowerCase();
  // A keyword of both cases is another rule's matter.
  if (!isLower && keyword !== keyword.toUpperCase()) return;
  if (as !== (isLower ? as.toLowerCase() : as.toUpperCase())) {
    warnings.add(rules.fromAsCasing, range, `'${as}' and '${keyword}' keywords' casing do not match`);
  }
}
