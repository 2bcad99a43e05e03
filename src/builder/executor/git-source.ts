import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '#errdefs';
import { isNoSpace, type MakeRoom, resolveInRoot, withRoom } from '#files';
import { type GitAccess, type GitHelp, gitAccess } from './git-access.ts';

/** A git repository as a Dockerfile or a client names one. */
export interface GitReference {
  readonly repository: string;
  /** Branch, tag or commit; empty is the default branch. */
  readonly ref: string;
  /** Folder inside the repository. */
  readonly subfolder: string;
}

const maxErrorBytes = 4 << 10;

/** `https://host/a.git#ref:folder`, as BuildKit and dockerd read it; `github.com/a/b` stands for HTTPS. */
export function parseGitReference(text: string): GitReference {
  const hash = text.indexOf('#');
  const url = hash < 0 ? text : text.slice(0, hash);
  const [ref = '', subfolder = ''] = (hash < 0 ? '' : text.slice(hash + 1)).split(/:(.*)/s);
  return { repository: url.startsWith('github.com/') ? `https://${url}` : url, ref, subfolder };
}

/**
 * Checks a repository out below `folder`, with its submodules, one commit deep where the server allows; answers where the files are. Only network
 * protocols are spoken, and nothing of the daemon's own git settings counts.
 * @throws EngineError `unavailable` with git's last words; `failed-precondition` without git
 */
export async function checkOut(
  reference: GitReference,
  folder: string,
  options: CheckOutOptions & { readonly makeRoom?: MakeRoom | undefined },
): Promise<string> {
  return await withRoom(options.makeRoom ?? (async () => false), async () => {
    try {
      return await checkOutOnce(reference, folder, options);
    } catch (error) {
      if (isNoSpace(error)) await rm(folder, { recursive: true, force: true });
      throw error;
    }
  });
}

interface CheckOutOptions {
  readonly keepGitDir: boolean;
  readonly commit?: string | undefined;
  /** May have what a private repository wants. */
  readonly help?: GitHelp | undefined;
  readonly signal: AbortSignal;
}

async function checkOutOnce(reference: GitReference, folder: string, options: CheckOutOptions): Promise<string> {
  const { repository, ref, subfolder } = reference;
  await using access = await gitAccess(repository, options.help, options);
  const git = (...args: string[]) => runGit(folder, args, { access, signal: options.signal });
  for (const part of [repository, ref]) {
    if (part.startsWith('-'))
      throw new EngineError('invalid-argument', `git: invalid reference ${JSON.stringify(part)}`);
  }
  await mkdir(folder, { mode: 0o755 });
  await git('init', '-q');
  await git('remote', 'add', 'origin', repository);
  await fetchRef(git, ref || 'HEAD');
  await git('checkout', '-q', '--detach', 'FETCH_HEAD');
  if (options.commit !== undefined) requireCommit(options.commit, await git('rev-parse', 'HEAD'));
  await git('submodule', 'update', '--init', '--recursive', '--depth=1', '-q');
  if (!options.keepGitDir) await rm(join(folder, '.git'), { recursive: true });
  return await resolveInRoot(folder, subfolder);
}

function requireCommit(expected: string, found: string): void {
  const commit = found.trim();
  if (commit.startsWith(expected.toLowerCase())) return;
  throw new EngineError('data-loss', `expected checksum to match ${expected}, got ${commit}`);
}

/** A server may not know shallow clones, or refuse single commits: then more is fetched. */
async function fetchRef(git: (...args: string[]) => Promise<string>, ref: string): Promise<void> {
  try {
    await git('fetch', '-q', '--depth=1', '--no-tags', 'origin', ref);
    return;
  } catch (error) {
    if (!isCommit(ref)) {
      await git('fetch', '-q', '--no-tags', 'origin', ref).catch((second) =>
        Promise.reject(isNoSpace(second) ? second : error),
      );
      return;
    }
  }
  await git('fetch', '-q', '--tags', 'origin', '+refs/heads/*:refs/remotes/origin/*');
  await git('fetch', '-q', '.', ref);
}

/** What git says when it could not write; of HTTP it tells libcurl's number for that, and removes what it had. */
const failedWrite = /No space left on device|Disk quota exceeded|curl_result = 23/;

/** What git met, as a call of one's own would have. */
function noSpace(): Error {
  return Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
}

/** What a shell answers where the command is not there. */
const noSuchCommand = 127;

const isCommit = (ref: string) => /^[0-9a-f]{7,64}$/.test(ref);

async function runGit(
  folder: string,
  args: readonly string[],
  { access, signal }: { access: Pick<GitAccess, 'env'>; signal: AbortSignal },
): Promise<string> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: 'http:https:ssh:git',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes',
    ...access.env,
  };
  const safe = ['-c', 'core.hooksPath=/dev/null', '-c', 'advice.detachedHead=false', '-c', 'protocol.file.allow=never'];
  // Modes of what is checked out go into layers: they must not depend on the daemon's mask.
  const masked = ['-c', 'umask 022; exec git "$@"', 'git', ...safe, ...args];
  const child = spawn('/bin/sh', masked, { cwd: folder, env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, answer] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    answer = (answer + text).slice(-maxErrorBytes);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-maxErrorBytes);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  signal.throwIfAborted();
  if (code === noSuchCommand) {
    throw new EngineError('failed-precondition', 'git is not installed on the machine of the daemon');
  }
  if (code !== 0) {
    const cause = failedWrite.test(said) ? noSpace() : undefined;
    throw new EngineError('unavailable', `git ${args[0]}: ${said.trim() || `exit code ${code}`}`, { cause });
  }
  return answer;
}
