import type { Engine } from '#api-types';
import { connect, InBandError } from '#client';
import { messageOf, placeOf } from '#errdefs';
import type { Command, Terminal } from './command.ts';
import { commandTable, findCommand, groupCommands } from './commands.ts';
import { errorText, placedText } from './error-text.ts';
import { type FlagSpec, type Flags, parseArguments, UsageError } from './flags.ts';
import { commandHelp, groupHelp, rootHelp, usageLine } from './help.ts';
import { version } from './version.ts';

const globalFlags: readonly FlagSpec[] = [
  { name: 'host', short: 'H', type: 'string', help: 'Daemon socket to connect to' },
  { name: 'version', short: 'v', type: 'toggle', help: 'Print version information and quit' },
];
export const defaultHost = 'unix:///run/wherry.sock';

/** Runs one command line; answers the exit status. Never throws for what a user can cause. */
export async function runCli(
  argv: readonly string[],
  terminal: Terminal = process,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<number> {
  let command: Command | undefined;
  try {
    const root = parseArguments(globalFlags, argv, { interspersed: false });
    if (root.flags.on('version')) {
      terminal.stdout.write(`Wherry version ${version}\n`);
      return 0;
    }
    if (root.positionals.length === 0 || (root.positionals.length === 1 && root.positionals[0] === 'help')) {
      terminal.stdout.write(rootHelp(commandTable));
      return 0;
    }
    const found = findCommand(root.positionals);
    if (!found) return explainGroup(root.positionals, terminal);
    command = found.command;
    return await runCommand(found.command, found.rest, root.flags, terminal, environment);
  } catch (error) {
    return explain(error, command, terminal);
  }
}

/** A word that is no command, or is none of a group. */
class UnknownCommand extends Error {
  readonly group: string;
  readonly words: string;

  constructor(first: string, second?: string) {
    super('unknown command');
    this.group = second === undefined ? 'wherry' : `wherry ${first}`;
    this.words = ['wherry', first, ...(second === undefined ? [] : [second])].join(' ');
  }
}

/** A word that commands begin with, by itself. @throws UnknownCommand */
function explainGroup([group = '', ...rest]: readonly string[], terminal: Terminal): number {
  const commands = groupCommands(group);
  if (commands.size === 0) throw new UnknownCommand(group);
  if (rest.length > 0 && !['--help', '-h', 'help'].includes(rest[0]!)) throw new UnknownCommand(group, rest[0]);
  terminal.stdout.write(groupHelp(group, commands));
  return 0;
}

async function runCommand(
  command: Command,
  args: readonly string[],
  global: Flags,
  terminal: Terminal,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const parsed = parseArguments(command.flags, args, { interspersed: command.interspersed ?? true });
  if (parsed.help) {
    terminal.stdout.write(commandHelp(command));
    return 0;
  }
  checkCount(command, parsed.positionals.length);
  const abort = new AbortController();
  let engine: Engine | undefined;
  const onInterrupt = () => abort.abort(new Interrupted());
  process.once('SIGINT', onInterrupt);
  try {
    const host = global.text('host') ?? environment['WHERRY_HOST'] ?? environment['DOCKER_HOST'] ?? defaultHost;
    return await command.run({
      terminal,
      flags: parsed.flags,
      args: parsed.positionals,
      environment,
      engine: () => (engine ??= connect(host)),
      signal: abort.signal,
    });
  } finally {
    process.off('SIGINT', onInterrupt);
    await engine?.[Symbol.asyncDispose]();
  }
}

class Interrupted extends Error {}

function checkCount(command: Command, count: number): void {
  const { minArgs, maxArgs } = command;
  if (count >= minArgs && count <= (maxArgs ?? Number.POSITIVE_INFINITY)) return;
  const exactly = minArgs === maxArgs;
  const wanted = exactly || maxArgs === undefined || count < minArgs ? minArgs : maxArgs;
  const quantity = exactly ? '' : count < minArgs ? 'at least ' : 'at most ';
  const subject = `'wherry ${command.name}'`;
  if (maxArgs === 0) throw new CountError(`${subject} accepts no arguments`);
  throw new CountError(`${subject} requires ${quantity}${wanted} argument${wanted === 1 ? '' : 's'}`);
}

class CountError extends Error {}

function explain(error: unknown, command: Command | undefined, terminal: Terminal): number {
  const say = (text: string) => terminal.stderr.write(`${text}\n`);
  if (error instanceof Interrupted) return 130;
  if (error instanceof UnknownCommand) {
    const { group, words } = error;
    say(`wherry: unknown command: ${words}\n\nRun '${group} --help' for more information`);
    return 1;
  }
  if (error instanceof CountError && command) {
    say(
      `wherry: ${error.message}\n\n${usageLine(command)}\n\nRun 'wherry ${command.name} --help' for more information`,
    );
    return 1;
  }
  if (error instanceof UsageError) {
    const help = command ? `wherry ${command.name}` : 'wherry';
    say(
      `${error.message}\n\n${command ? usageLine(command) : 'Usage:  wherry [OPTIONS] COMMAND'}\n\nRun '${help} --help' for more information`,
    );
    return error.exitCode;
  }
  if (command?.name !== 'run') {
    say(placedText(error));
    const container = placeOf(error)?.container;
    if (container) say(`\nA shell in the step's container: wherry build debug ${container.slice(0, 12)}`);
    else if (command?.name === 'build' && error instanceof InBandError && error.code !== undefined)
      say('\nA shell where it failed: build again with --shell-on-fail');
    // A build ends with the status of the command that failed in it.
    return error instanceof InBandError ? (error.code ?? 1) : 1;
  }
  say(`wherry: ${errorText(error)}\n\nRun 'wherry run --help' for more information`);
  return runStatus(messageOf(error));
}

/** Docker's statuses of a `run` that never ran: 127 not found, 126 cannot be executed, 125 the engine's own. */
function runStatus(message: string): number {
  if (/executable file not found|no such file or directory/.test(message) && /exec/.test(message)) return 127;
  if (/permission denied|is a directory|exec format error/.test(message) && /exec/.test(message)) return 126;
  return 125;
}
