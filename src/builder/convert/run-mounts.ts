import { posix } from 'node:path';
import { parseMount, type RunInstruction, type RunMount, SyntaxFault } from '#dockerfile';
import type { StageScope } from './convert.ts';
import type { AgentOperation, RunMountOperation, RunOperation, SecretOperation } from './operations.ts';
import { copyFrom } from './stages.ts';

const defaultCacheMode = 0o755;
const defaultSecretMode = 0o400;
const defaultAgentMode = 0o600;

/**
 * The mounts of a RUN with their variables put in, as BuildKit reads them: a relative target is below the working directory.
 * @throws SyntaxFault in BuildKit's words
 */
export function runMounts(
  instruction: RunInstruction,
  workingDir: string,
  scope: StageScope,
  expand: (word: string) => string,
): Pick<RunOperation, 'mounts' | 'secrets' | 'agents'> {
  const parsed = instruction.mounts.map((text) => parseMount(text, expand));
  const place = { workingDir, scope };
  return {
    mounts: parsed
      .filter(({ type }) => type !== 'secret' && type !== 'ssh')
      .map((mount) => mountOperation(mount, place))
      .sort((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0)),
    secrets: parsed.filter(({ type }) => type === 'secret').map((mount) => secretOperation(mount, workingDir)),
    agents: parsed.filter(({ type }) => type === 'ssh').map((mount, at) => agentOperation(mount, workingDir, at)),
  };
}

interface Place {
  readonly workingDir: string;
  readonly scope: StageScope;
}

function mountOperation(mount: RunMount, place: Place): RunMountOperation {
  const { type, readOnly, sizeBytes } = mount;
  const target = posix.resolve('/', place.workingDir, mount.target);
  if (target === '/') throw new SyntaxFault(`invalid mount target ${JSON.stringify(target)}`);
  if (type === 'tmpfs') return { kind: 'tmpfs', target, sizeBytes };
  const source = posix.join('/', mount.source);
  if (type === 'bind') return { kind: 'bind', from: copyFrom(mount.from, place.scope), source, target, readOnly };
  if (mount.from === '' && source !== '/') throw new SyntaxFault('a source of a cache mount needs from');
  return {
    kind: 'cache',
    id: mount.cacheID || posix.normalize(mount.target),
    sharing: mount.sharing || 'shared',
    target,
    readOnly,
    mode: mount.mode ?? defaultCacheMode,
    uid: mount.uid ?? 0,
    gid: mount.gid ?? 0,
    ...(mount.from === '' ? {} : { seed: { from: copyFrom(mount.from, place.scope), source } }),
  };
}

/** Without a name of its own a secret is what its file is called. */
function secretOperation(mount: RunMount, workingDir: string): SecretOperation {
  const id = mount.source || mount.cacheID || posix.basename(mount.target);
  const isFile = mount.target !== '' || mount.env === undefined;
  const target = posix.resolve('/', workingDir, mount.target || `/run/secrets/${posix.basename(id)}`);
  return {
    id,
    ...(isFile ? { target } : {}),
    ...(mount.env === undefined ? {} : { env: mount.env || id }),
    required: mount.required,
    ...owner(mount, defaultSecretMode),
  };
}

function agentOperation(mount: RunMount, workingDir: string, at: number): AgentOperation {
  if (mount.source !== '') throw new SyntaxFault('ssh does not support source');
  const target = posix.resolve('/', workingDir, mount.target || `/run/buildkit/ssh_agent.${at}`);
  return { id: mount.cacheID || 'default', target, required: mount.required, ...owner(mount, defaultAgentMode) };
}

function owner({ uid, gid, mode }: RunMount, defaultMode: number) {
  return { uid: uid ?? 0, gid: gid ?? 0, mode: mode ?? defaultMode };
}
