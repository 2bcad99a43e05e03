import { type OutlineHandedOver, outlineOf } from '#builder';
import { linesOf } from '#dockerfile';
import { docComment } from './doc-comment.ts';
import { locationOf, type SubrequestAnswer, table } from './subrequest-answer.ts';

/** What a build of a target can be given. */
export function outlineAnswer(
  bytes: Uint8Array,
  target: string,
  buildArgs: Readonly<Record<string, string | null>>,
): SubrequestAnswer {
  const lines = linesOf(Buffer.from(bytes).toString());
  const { stage, args, secrets, agents } = outlineOf(bytes, { target, buildArgs });
  const description = docComment(lines, stage.range.startLine, stage.name);
  const shownArgs = args.map(({ name, value, range }) => {
    const comment = docComment(lines, range.startLine, name);
    const said = { ...(comment === undefined ? {} : { description: comment }), ...(value ? { value } : {}) };
    return { name, ...said, location: locationOf(range) };
  });
  const json = {
    ...(stage.name === '' ? {} : { name: stage.name }),
    ...(description === undefined ? {} : { description }),
    ...(shownArgs.length > 0 ? { args: shownArgs } : {}),
    ...(secrets.length > 0 ? { secrets: secrets.map(handedOver) } : {}),
    ...(agents.length > 0 ? { ssh: agents.map(handedOver) } : {}),
    sources: [Buffer.from(bytes).toString('base64')],
  };
  const rows = shownArgs.map(({ name, value = '', description: comment = '' }) => [name, value, comment]);
  return {
    json,
    text:
      head(stage.name, description) +
      section(['BUILD ARG', 'VALUE', 'DESCRIPTION'], rows) +
      section(['SECRET', 'REQUIRED'], secrets.map(row)) +
      section(['SSH', 'REQUIRED'], agents.map(row)),
  };
}

function head(name: string, description: string | undefined): string {
  if (name === '' && description === undefined) return '';
  const lines = [['TARGET:', name], ...(description === undefined ? [] : [['DESCRIPTION:', description]])];
  return `${table(lines[0]!, lines.slice(1), 1)}\n`;
}

function section(title: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : `${table(title, rows)}\n`;
}

function row({ name, required }: OutlineHandedOver): readonly string[] {
  return [name, required ? 'true' : ''];
}

function handedOver({ name, required, range }: OutlineHandedOver) {
  return { name, ...(required ? { required } : {}), location: locationOf(range) };
}
