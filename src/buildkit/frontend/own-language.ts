import { isOwnLanguage } from '#builder';
import { LocationError } from '#dockerfile';
import { EngineError } from '#errdefs';

const maxHeadBytes = 64 << 10;

/**
 * Refuses a frontend that is another language than the built-in one, whether it is named beside the file or in its `# syntax=`.
 * @throws `not-implemented`
 */
export function requireOwnLanguage(asked: string | { readonly bytes: Uint8Array }): void {
  const found = typeof asked === 'string' ? { syntax: asked } : syntaxLine(asked.bytes);
  const image = found?.syntax.split(' ', 1)[0] ?? '';
  if (image === '' || isOwnLanguage(image)) return;
  const message = `frontend ${image} is not supported: Dockerfiles are read by this builder itself, and no other frontend runs`;
  const cause =
    found && 'line' in found ? new LocationError(message, { startLine: found.line, endLine: found.line }) : undefined;
  throw new EngineError('not-implemented', message, cause ? { cause } : {});
}

/** The first lines of a file in any language whose comments begin with `#` or `//`: `name=value` each. */
function syntaxLine(bytes: Uint8Array): { syntax: string; line: number } | undefined {
  const text = Buffer.from(bytes.subarray(0, maxHeadBytes))
    .toString()
    .replace(/^\ufeff/, '');
  for (const [index, line] of text.split('\n').entries()) {
    const [, name, value] = /^\s*(?:#|\/\/)\s*([a-zA-Z]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name?.toLowerCase() === 'syntax') return { syntax: value!, line: index + 1 };
    if (name === undefined && !(index === 0 && line.startsWith('#!'))) return undefined;
  }
  return undefined;
}
