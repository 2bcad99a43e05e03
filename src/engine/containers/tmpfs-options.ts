import { EngineError } from '#errdefs';

/** Flags by what they decide: of two that decide the same, the later one counts. */
const flagGroups: readonly (readonly string[])[] = [
  ['ro', 'rw'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['exec', 'noexec'],
  ['sync', 'async'],
  ['dirsync'],
  ['mand', 'nomand'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
  ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'],
];
const settings = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);
const defaults = ['noexec', 'nosuid', 'nodev'];

/** The options of a `--tmpfs` mount: Docker's defaults, each given way to what the user says. Asked at the start, as dockerd looks at them only then. @throws `invalid-argument` in Docker's words. */
export function tmpfsOptions(given: readonly string[]): string[] {
  const chosen = new Map<string, string>();
  for (const option of [...defaults, ...given.filter((item) => item !== '' && item !== 'defaults')]) {
    const subject = subjectOf(option);
    chosen.delete(subject);
    chosen.set(subject, option);
  }
  return [...chosen.values()];
}

function subjectOf(option: string): string {
  const group = flagGroups.find((flags) => flags.includes(option));
  if (group) return group[0]!;
  const at = option.indexOf('=');
  if (at > 0 && settings.has(option.slice(0, at))) return option.slice(0, at);
  throw new EngineError('invalid-argument', `invalid tmpfs option "${at > 0 ? option.slice(0, at) : option}"`);
}
