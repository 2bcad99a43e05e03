import type { BuildWarning } from '#api-types';

/** Below a build, short: what `build --check` tells at length. */
export function warningsText(warnings: readonly BuildWarning[]): string {
  if (warnings.length === 0) return '';
  const head = `${warnings.length} warning${warnings.length === 1 ? '' : 's'} found (use --check to expand):`;
  return `\n${[head, ...warnings.map((warning) => ` - ${shortText(warning)}`)].join('\n')}\n`;
}

/** What `build --check` answers, in the words of BuildKit's, with an excerpt per warning. */
export function checkText(warnings: readonly BuildWarning[]): string {
  const [count, verb] = warnings.length === 1 ? ['1 warning', 'has'] : [`${warnings.length} warnings`, 'have'];
  if (warnings.length === 0) return 'Check complete, no warnings found.\n';
  return `Check complete, ${count} ${verb} been found!\n${warnings.map(longText).join('')}`;
}

function shortText({ rule, detail, startLine }: BuildWarning): string {
  return `${rule}: ${detail} (line ${startLine})`;
}

function longText({ rule, url, detail, excerpt }: BuildWarning): string {
  return `\nWARNING: ${rule}${url === undefined ? '' : ` - ${url}`}\n${detail}\n${excerpt}`;
}
