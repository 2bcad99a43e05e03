import { StartError } from './types.ts';

/** What the runtime was asked to do when it refused. */
export type StartStep = 'create' | 'exec';

const prefixes: Readonly<Record<StartStep, string>> = {
  create:
    'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ',
  exec: 'OCI runtime exec failed: exec failed: ',
};

const unable = 'unable to start container process: ';
/** runc says this of what its init meets; `exec` runs no init of a container. */
const duringInit: Readonly<Record<StartStep, string>> = { create: 'error during container init: ', exec: '' };

/**
 * The runtime's words on a command it could not start, in those that dockerd with runc uses: clients match them.
 * `command` is `args[0]`.
 */
export function startFailure(step: StartStep, words: string, command: string): StartError {
  const fact = plainWords(words);
  const reason = commandFault(fact, command);
  const message = reason === undefined ? fact : `${unable}${duringInit[step]}${reason}`;
  return new StartError(prefixes[step] + message, exitCodeFor(message));
}

/** The last line that says something, without a logger's frame around it. */
function plainWords(words: string): string {
  const lines = words
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const line = lines.findLast((text) => /level=(error|fatal)/.test(text)) ?? lines.at(-1) ?? 'no reason given';
  const framed = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
  return (framed?.replace(/\\(.)/g, '$1') ?? line).replace(/^(?:runc (?:create|run) failed|exec failed|crun): /, '');
}

function commandFault(fact: string, command: string): string | undefined {
  if (fact.startsWith(unable)) return fact.slice(unable.length).replace(/^error during container init: /, '');
  if (/^executable file [`'"].* not found in \$PATH/.test(fact)) return notFound(command);
  if (/^(?:open executable|exec\w*|the path `.*` )/.test(fact)) return `exec: "${command}": ${lowerFirst(fact)}`;
  const folder = /^chdir [`'"]?(.*?)[`'"]?: (.*)$/.exec(fact);
  if (folder) return `chdir to cwd ("${folder[1]}") set in config.json failed: ${lowerFirst(folder[2]!)}`;
  return undefined;
}

function notFound(command: string): string {
  return command.includes('/')
    ? `exec: "${command}": stat ${command}: no such file or directory`
    : `exec: "${command}": executable file not found in $PATH`;
}

function lowerFirst(text: string): string {
  const plain = text.replace(/^open executable: /, '');
  // crun answers EPERM for a folder and EACCES for a file without the execute bit; both are runc's EACCES.
  if (/^operation not permitted/i.test(plain)) return 'is a directory: permission denied';
  return plain.charAt(0).toLowerCase() + plain.slice(1);
}

/** moby reads the text in the same order. */
function exitCodeFor(message: string): 126 | 127 | 128 {
  if (/executable file not found|no such file or directory/i.test(message)) return 127;
  if (/permission denied|not a directory|is a directory/i.test(message)) return 126;
  return 128;
}
