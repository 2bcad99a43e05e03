import type { Dockerfile } from '../ast.ts';
import type { SourceRange } from '../location.ts';
import { rules } from './rules.ts';
import type { Warnings } from './warnings.ts';

/** A comment right above an ARG or a named stage describes it, and begins with its name. */
export function checkDescriptions({ metaArgs, stages }: Dockerfile, warnings: Warnings): void {
  const check = (
    keyword: string,
    names: readonly string[],
    line: { comments?: readonly string[]; range: SourceRange },
  ) => {
    const comment = line.comments?.at(-1);
    if (comment === undefined || names.includes(comment.split(' ', 1)[0]!)) return;
    const name = names.length > 1 ? '<arg_key>' : names[0];
    const detail = `Comment for ${keyword} should follow the format: \`# ${name} <description>\``;
    warnings.add(rules.invalidDefinitionDescription, line.range, detail);
  };
  for (const line of [...metaArgs, ...stages.flatMap((stage) => [stage, ...stage.instructions])]) {
    if (line.kind === 'from' && line.name !== '') check('FROM', [line.name], line);
    if (line.kind !== 'arg') continue;
    check(
      'ARG',
      line.definitions.map(({ name }) => name),
      line,
    );
  }
}
