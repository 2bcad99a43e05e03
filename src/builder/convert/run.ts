import { commandArgs, inlineText, parseHeredoc, type RunInstruction, SyntaxFault, shellOf } from '#dockerfile';
import type { StageScope } from './convert.ts';
import type { RunOperation } from './operations.ts';
import { runMounts } from './run-mounts.ts';

/** RUN with everything that its container is started with. @throws SyntaxFault */
export function runOperation(
  instruction: RunInstruction,
  scope: StageScope,
  expand: (word: string) => string,
): RunOperation {
  const { config, author } = scope;
  const { args, script } = commandOf(instruction, config.Shell);
  const imageEnv = config.Env ?? [];
  const buildEnv = scope.args.environment(imageEnv);
  return {
    kind: 'run',
    args,
    shownCommand: args.join(' '),
    createdBy: shownWithArguments(args, buildEnv, scope).join(' '),
    env: [...imageEnv, ...buildEnv],
    user: config.User ?? '',
    cwd: config.WorkingDir || '/',
    volumes: Object.keys(config.Volumes ?? {}).sort(),
    networkMode: networkOf(instruction, scope),
    ...runMounts(instruction, config.WorkingDir || '/', scope, expand),
    ...(script ? { script } : {}),
    config,
    author,
  };
}

/** `|2 A=1 B=2 /bin/sh -c …`: how many arguments, then each, then the command. */
function shownWithArguments(
  args: readonly string[],
  buildEnv: readonly string[],
  scope: StageScope,
): readonly string[] {
  if (buildEnv.length === 0) return args;
  const shown = scope.args.shown(buildEnv);
  return [`|${shown.length}`, ...shown, ...args];
}

/**
 * A lone heredoc is the script itself, by the shell or by its shebang; more than one, or one inside a command, is put together again for the shell.
 */
function commandOf(
  instruction: RunInstruction,
  shell: readonly string[] | undefined,
): { args: readonly string[]; script?: { path: string; content: string } } {
  const { command } = instruction;
  if (command.inline.length === 0) return { args: commandArgs(command, shell) };
  const written = command.args[0];
  if (!command.shellForm || written === undefined) throw new SyntaxFault('a heredoc needs the shell form of RUN');
  const [first] = command.inline;
  if (!parseHeredoc(written) || !first) {
    const whole = command.inline.reduce((text, file) => `${text}\n${file.content}${file.name}`, written);
    return { args: [...shellOf(shell), whole] };
  }
  const content = inlineText(first);
  if (!content.startsWith('#!')) return { args: [...shellOf(shell), content] };
  const path = `/.heredoc-${first.name.replaceAll('/', '_')}`;
  return { args: [path], script: { path, content } };
}

function networkOf(instruction: RunInstruction, scope: StageScope): RunOperation['networkMode'] {
  if (instruction.network === 'host' && scope.networkMode !== 'host') {
    throw new SyntaxFault('RUN --network=host needs the build itself to run with --network=host');
  }
  return instruction.network === 'default' ? scope.networkMode : instruction.network;
}
