import { EngineError } from '#errdefs';
import { type ConfigFields, type ConfigInstruction, configChange } from './config.ts';
import { type ExpandOptions, expandWord } from './expand.ts';
import { parseInstructions } from './parse.ts';
import { substitute } from './substitute.ts';

const allowed = new Set([
  ...[
    'cmd',
    'entrypoint',
    'healthcheck',
    'env',
    'expose',
    'label',
    'onbuild',
    'stopsignal',
    'user',
    'volume',
    'workdir',
  ],
]);

/**
 * `--change` lines of commit and import: Dockerfile instructions that change only the configuration. Answers the function that applies them;
 * variables see the configuration's Env. An `# escape=` directive may lead.
 * @throws EngineError `invalid-argument` in Docker's words, here for syntax, from the function for values.
 */
export function parseChanges(lines: readonly string[]): <T extends ConfigFields>(config: T) => T {
  if (lines.length === 0) return (config) => config;
  const read = parseInstructions(lines.join('\n'));
  for (const { keyword } of read) {
    if (!allowed.has(keyword.toLowerCase())) {
      throw new EngineError('invalid-argument', `${keyword} is not a valid change command`);
    }
  }
  const instructions = read.map((item) => item.parse() as ConfigInstruction);
  return (config) => {
    let result = config;
    let cmdSet = false;
    for (const instruction of instructions) {
      const expansion: ExpandOptions = { escape: '\\', lookup: envLookup(result.Env ?? []) };
      const substituted = substitute(instruction, (word) => expandWord(word, expansion)) as ConfigInstruction;
      const change = configChange(result, substituted, { cmdSet, expansion });
      result = { ...result, ...change.set };
      cmdSet ||= change.cmdSet ?? false;
    }
    return result;
  };
}

/** Looks names up in `NAME=value` entries. */
export function envLookup(env: readonly string[]): (name: string) => string | undefined {
  const values = new Map<string, string>();
  for (const entry of env) {
    const equals = entry.indexOf('=');
    if (equals > 0) values.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return (name) => values.get(name);
}
