import type { Command } from './command.ts';
import type { FlagSpec } from './flags.ts';

const width = 80;

export function usageLine(command: Command): string {
  return `Usage:  wherry ${command.name} ${command.usage}`.trimEnd();
}

/** A command's help, laid out as Docker's. */
export function commandHelp(command: Command): string {
  const aliases = command.aliases?.length
    ? `\nAliases:\n  ${[...command.aliases, command.name].map((name) => `wherry ${name}`).join(', ')}\n`
    : '';
  const options = command.flags.length > 0 ? `\nOptions:\n${optionRows(command.flags)}\n` : '';
  return `${usageLine(command)}\n\n${command.summary}\n${aliases}${options}`;
}

function optionRows(flags: readonly FlagSpec[]): string {
  const heads = flags.map((flag) => {
    const value = flag.type === 'toggle' ? '' : ` ${flag.value ?? flag.type}`;
    return `  ${flag.short ? `-${flag.short},` : '   '} --${flag.name}${value}`;
  });
  const column = Math.max(...heads.map((head) => head.length)) + 3;
  return flags
    .map(
      (flag, index) => heads[index]!.padEnd(column) + wrap(flag.help, width - column).join(`\n${' '.repeat(column)}`),
    )
    .join('\n');
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > Math.max(columns, 24)) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function commandRows(commands: readonly (readonly [string, Command])[]): string[] {
  const column = Math.max(...commands.map(([name]) => name.length)) + 2;
  return commands.map(([name, command]) => `  ${name.padEnd(column)}${command.summary}`);
}

/** Of `network`, `registry` and the like: what may follow. */
export function groupHelp(group: string, commands: ReadonlyMap<string, Command>): string {
  return [
    `Usage:  wherry ${group} COMMAND`,
    '',
    'Commands:',
    ...commandRows([...commands]),
    '',
    `Run 'wherry ${group} COMMAND --help' for more information on a command.`,
    '',
  ].join('\n');
}

export function rootHelp(commands: readonly Command[]): string {
  const rows = commandRows(commands.map((command) => [command.name, command]));
  return [
    'Usage:  wherry [OPTIONS] COMMAND',
    '',
    'A container engine whose heart is the image',
    '',
    'Commands:',
    ...rows,
    '',
    'Global Options:',
    '  -H, --host string   Daemon socket to connect to (default WHERRY_HOST, DOCKER_HOST or unix:///run/wherry.sock)',
    '  -v, --version       Print version information and quit',
    '',
    "Run 'wherry COMMAND --help' for more information on a command.",
    '',
  ].join('\n');
}
