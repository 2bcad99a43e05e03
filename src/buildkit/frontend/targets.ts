import { linesOf, parseDockerfile } from '#dockerfile';
import { docComment } from './doc-comment.ts';
import { locationOf, type SubrequestAnswer, table } from './subrequest-answer.ts';

/** The stages that can be built. */
export function targetsAnswer(bytes: Uint8Array, target: string): SubrequestAnswer {
  const lines = linesOf(Buffer.from(bytes).toString());
  const { stages } = parseDockerfile(bytes);
  const targets = stages.map((stage, index) => {
    const isDefault = target === '' ? index === stages.length - 1 : stage.name === target.toLowerCase();
    const description = docComment(lines, stage.range.startLine, stage.name);
    return {
      ...(stage.name === '' ? {} : { name: stage.name }),
      ...(isDefault ? { default: true } : {}),
      ...(description === undefined ? {} : { description }),
      ...(stage.baseName === '' ? {} : { base: stage.baseName }),
      ...(stage.platform === '' ? {} : { platform: stage.platform }),
      location: locationOf(stage.range),
    };
  });
  const rows = targets.map(({ name, default: isDefault, description = '' }) => {
    const shown = [name, isDefault ? '(default)' : undefined].filter(Boolean).join(' ');
    return [shown, description];
  });
  const json = { targets, sources: [Buffer.from(bytes).toString('base64')] };
  return { json, text: table(['TARGET', 'DESCRIPTION'], rows, 1) };
}
