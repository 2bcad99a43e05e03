import { EngineError } from '#errdefs';
import { StartError } from './types.ts';

/** What the runtime was asked to do when it refused. */
export type StartStep = 'create' | 'exec';

const prefixes: Readonly<Record<StartStep, string>> = {
  create:
    'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ',
  exec: 'OCI runtime exec failed: exec failed: ',
};

const unable = 'unable to start container process: ';
const initWords = 'error during container init: ';
/** runc says this of what its init meets; `exec` runs no init of a container. */
const duringInit: Readonly<Record<StartStep, string>> = { create: initWords, exec: '' };

/** What moby adds where a path is not the folder it should be. */
const mismatch =
  'Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';

/**
 * The runtime's words on a command it could not start, in those that dockerd with runc uses: clients match them.
 * `command` is `args[0]`.
 */
export function startFailure(step: StartStep, words: string, command: string): StartError {
  const fact = plainWords(words);
  const file = step === 'create' ? /^chdir [`'"]?(.*?)[`'"]?: Not a directory$/.exec(fact)?.[1] : undefined;
  // dockerd makes the working directory itself, before there is a runtime to complain.
  if (file !== undefined) return new StartError(`Cannot mkdir: ${file} is not a directory`, 128);
  const message = prefixes[step] + explain(step, fact, command);
  return new StartError(
    message.includes('not a directory') ? `${message}: ${mismatch}` : message,
    exitCodeFor(message),
  );
}

/** What a runtime says of limits that it could not set, in the frame dockerd gives it. */
export function updateFailure(words: string, cause?: unknown): EngineError {
  const message = `runc did not terminate successfully: exit status 1: ${plainWords(words)}`;
  return new EngineError('internal', message, { cause });
}

function explain(step: StartStep, fact: string, command: string): string {
  if (fact === '') return 'no reason given';
  const reason = initFault(fact) ?? commandFault(fact, command) ?? setupFault(fact);
  return reason === undefined ? fact : `${unable}${duringInit[step]}${reason}`;
}

/** The last line that says something, without a logger's frame around it. */
function plainWords(words: string): string {
  const lines = words
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const line = lines.findLast((text) => /level=(error|fatal)/.test(text)) ?? lines.at(-1) ?? '';
  const framed = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
  const stamp = /^\d{4}-\d\d-\d\dT[\d:.]+Z: /;
  return (framed?.replace(/\\(.)/g, '$1') ?? line)
    .replace(stamp, '')
    .replace(/^(?:runc (?:create|run) failed|exec failed|crun): /, '');
}

/** runc's own words, from versions that say where they are and from those that do not. */
function initFault(fact: string): string | undefined {
  if (!fact.startsWith(unable)) return undefined;
  const reason = fact.slice(unable.length);
  return reason.startsWith(initWords) ? reason.slice(initWords.length) : reason;
}

function commandFault(fact: string, command: string): string | undefined {
  if (/^executable file [`'"].* not found in \$PATH/.test(fact)) return notFound(command);
  if (/^(?:open executable|exec\w*|the path `.*` )/.test(fact)) {
    return command === '' ? notFound(command) : `exec: "${command}": ${permissionFault(fact)}`;
  }
  const folder = /^chdir [`'"]?(.*?)[`'"]?: (.*)$/.exec(fact);
  if (folder) return `chdir to cwd ("${folder[1]}") set in config.json failed: ${lowerFirst(folder[2]!)}`;
  return undefined;
}

function notFound(command: string): string {
  return command.includes('/')
    ? `exec: "${command}": stat ${command}: no such file or directory`
    : `exec: "${command}": executable file not found in $PATH`;
}

function permissionFault(text: string): string {
  const plain = text.replace(/^open executable: /, '');
  // crun answers EPERM for a folder and EACCES for a file without the execute bit; both are runc's EACCES.
  if (/^operation not permitted/i.test(plain)) return 'is a directory: permission denied';
  return lowerFirst(plain);
}

/** What goes wrong before the command's turn: crun's words, each with runc's. */
function setupFault(fact: string): string | undefined {
  const mount = /^mount `(.*?)` to `\/?(.*?)`: (.*)$/.exec(fact);
  if (mount) {
    const [, source, target, reason] = mount;
    return `error mounting "${source}" to rootfs at "/${target}": mount src=${source}, dst=/${target}: ${lowerFirst(reason!)}`;
  }
  const sysctl = /^(open|write to) `?\/proc\/sys\/(.*?)`?: (.*)$/.exec(fact);
  if (sysctl) {
    const name = sysctl[2]!.replaceAll('/', '.');
    const reason = lowerFirst(sysctl[3]!);
    return sysctl[1] === 'open' ? `open sysctl ${name} file: ${reason}` : `failed to write sysctl ${name}: ${reason}`;
  }
  const hostname = /^sethostname: (.*)$/.exec(fact);
  if (hostname) return `sethostname: ${lowerFirst(hostname[1]!)}`;
  return /: Too many open files$/.test(fact) ? 'too many open files' : undefined;
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

/** moby reads the text in the same order. */
function exitCodeFor(message: string): 126 | 127 | 128 {
  if (/executable file not found|no such file or directory|not a directory/i.test(message)) return 127;
  return /permission denied/i.test(message) ? 126 : 128;
}
