import type { BuildWarning } from '#api-types';
import { excerptOf, LocationError, linesOf } from '#dockerfile';
import { messageOf, placeOf } from '#errdefs';
import { locationOf, type SubrequestAnswer } from './subrequest-answer.ts';

interface Text {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What the build checks say; a Dockerfile that cannot be read is one of their findings. */
export async function lintAnswer(
  { name, bytes }: Text,
  check: () => Promise<readonly BuildWarning[]>,
): Promise<SubrequestAnswer> {
  const source = { filename: name, data: Buffer.from(bytes).toString('base64'), language: 'Dockerfile' };
  const lines = linesOf(Buffer.from(bytes).toString());
  try {
    const warnings = (await check()).toSorted((a, b) => a.startLine - b.startLine);
    const text = warnings.map((warning) => shown(warning, name, lines)).join('');
    return { json: { warnings: warnings.map(jsonOf), sources: [source] }, text, status: warnings.length > 0 ? 1 : 0 };
  } catch (error) {
    const range = placeOf(error) ?? (error instanceof LocationError ? error.range : undefined);
    if (!range) throw error;
    const buildError = { message: messageOf(error), location: locationOf(range) };
    return { json: { warnings: null, sources: [source], buildError }, text: '', status: 1 };
  }
}

function jsonOf(warning: BuildWarning) {
  const { rule, description, url, detail } = warning;
  return {
    ruleName: rule,
    ...(description ? { description } : {}),
    ...(url ? { url } : {}),
    detail,
    location: locationOf(warning),
  };
}

function shown(warning: BuildWarning, name: string, lines: readonly string[]): string {
  const { rule, url, detail } = warning;
  return `\nWARNING: ${rule}${url ? ` - ${url}` : ''}\n${detail}\n${excerptOf(lines, { name, range: warning })}`;
}
