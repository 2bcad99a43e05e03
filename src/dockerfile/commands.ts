import type { CommandLine, HealthcheckInstruction, RunInstruction, ShellInstruction } from './ast.ts';
import { parseDurationNs } from './duration.ts';
import { parseFlags } from './flags.ts';
import { SyntaxFault } from './location.ts';
import { parseMount } from './mounts.ts';
import { inlineFiles, type Parsing } from './parsing.ts';
import { jsonStrings, splitHealthcheck } from './statements.ts';
import { quote } from './text.ts';

function commandLine(parsing: Parsing): CommandLine {
  const { rest } = parsing.line.statement;
  const json = jsonStrings(rest);
  const inline = inlineFiles(parsing.line.heredocs);
  if (json) return { args: json, shellForm: false, inline };
  return { args: rest === '' ? [] : [rest], shellForm: true, inline };
}

/** CMD and ENTRYPOINT: no flags. */
export function parseCommand(parsing: Parsing): CommandLine {
  parseFlags(parsing.line.statement.flags, {});
  return commandLine(parsing);
}

const runFlags = { mount: 'strings', network: 'string', security: 'string', device: 'strings' } as const;

export function parseRun(parsing: Parsing): RunInstruction {
  const flags = parseFlags(parsing.line.statement.flags, runFlags);
  const { mount = [], network = 'default', security = 'sandbox', device = [] } = flags;
  for (const text of mount) parseMount(text);
  if (network !== 'default' && network !== 'none' && network !== 'host') {
    throw new SyntaxFault(`invalid network mode ${quote(network)}`);
  }
  if (security !== 'sandbox' && security !== 'insecure') {
    throw new SyntaxFault(`security ${quote(security)} is not valid`);
  }
  return {
    kind: 'run',
    ...parsing.placed,
    command: commandLine(parsing),
    mounts: mount,
    network,
    security,
    devices: device,
    flags: Object.keys(flags),
  };
}

export function parseShell(parsing: Parsing): ShellInstruction {
  parseFlags(parsing.line.statement.flags, {});
  const { args, shellForm } = commandLine(parsing);
  if (args.length === 0) throw new SyntaxFault('SHELL requires at least one argument');
  if (shellForm) throw new SyntaxFault('SHELL requires the arguments to be in JSON form');
  return { kind: 'shell', ...parsing.placed, shell: args };
}

const healthcheckFlags = {
  interval: 'string',
  timeout: 'string',
  'start-period': 'string',
  'start-interval': 'string',
  retries: 'string',
} as const;

const noTimes = { intervalNs: 0, timeoutNs: 0, startPeriodNs: 0, startIntervalNs: 0, retries: 0 };

export function parseHealthcheck(parsing: Parsing): HealthcheckInstruction {
  const { rest, flags } = parsing.line.statement;
  if (rest === '') throw new SyntaxFault('HEALTHCHECK requires at least one argument');
  const { type: written, command } = splitHealthcheck(rest);
  const type = written.toUpperCase();
  if (type === 'NONE') {
    if (command !== '') throw new SyntaxFault('HEALTHCHECK NONE takes no arguments');
    return { kind: 'healthcheck', ...parsing.placed, settings: { test: ['NONE'], ...noTimes } };
  }
  const given = parseFlags(flags, healthcheckFlags);
  if (type !== 'CMD') throw new SyntaxFault(`Unknown type ${quote(type)} in HEALTHCHECK (try CMD)`);
  const settings = {
    test: healthcheckTest(command),
    intervalNs: interval('interval', given.interval),
    timeoutNs: interval('timeout', given.timeout),
    startPeriodNs: interval('start-period', given['start-period']),
    startIntervalNs: interval('start-interval', given['start-interval']),
    retries: retries(given.retries),
  };
  return { kind: 'healthcheck', ...parsing.placed, settings };
}

function healthcheckTest(command: string): string[] {
  const json = jsonStrings(command);
  const args = json ?? (command === '' ? [] : [command]);
  if (args.length === 0) throw new SyntaxFault('Missing command after HEALTHCHECK CMD');
  return [json ? 'CMD' : 'CMD-SHELL', ...args];
}

function interval(name: string, text: string | undefined): number {
  if (!text) return 0;
  let ns: bigint;
  try {
    ns = parseDurationNs(text);
  } catch (error) {
    throw new SyntaxFault((error as RangeError).message);
  }
  if (ns !== 0n && ns < 1_000_000n) throw new SyntaxFault(`Interval ${quote(name)} cannot be less than 1ms`);
  return Number(ns);
}

function retries(text: string | undefined): number {
  if (!text) return 0;
  const fault = (reason: string) => new SyntaxFault(`strconv.ParseInt: parsing ${quote(text)}: ${reason}`);
  if (!/^[+-]?\d+$/.test(text)) throw fault('invalid syntax');
  const count = Number(text);
  if (count > 2 ** 31 - 1 || count < -(2 ** 31)) throw fault('value out of range');
  if (count < 0) throw new SyntaxFault(`--retries cannot be negative (${count})`);
  return count;
}
