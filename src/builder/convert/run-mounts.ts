import { posix } from 'node:path';
import { parseMount, type RunInstruction, type RunMount, SyntaxFault } from '#dockerfile';
import { EngineError } from '#errdefs';
import type { StageScope } from './convert.ts';
import type { RunMountOperation } from './operations.ts';
import { copyFrom } from './stages.ts';

const defaultCacheMode = 0o755;

/**
 * The mounts of a RUN with their variables put in, as BuildKit reads them: a relative target is below the working directory.
 * @throws SyntaxFault in BuildKit's words; EngineError `not-implemented` for secrets and SSH agents, which only a session can hand over
 */
export function runMounts(
  instruction: RunInstruction,
  workingDir: string,
  scope: StageScope,
  expand: (word: string) => string,
): readonly RunMountOperation[] {
  return instruction.mounts
    .map((text) => mountOperation(parseMount(text, expand), { workingDir, scope, line: instruction.range.startLine }))
    .sort((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
}

interface Place {
  readonly workingDir: string;
  readonly scope: StageScope;
  readonly line: number;
}

function mountOperation(mount: RunMount, place: Place): RunMountOperation {
  const { type, readOnly, sizeBytes } = mount;
  if (type === 'secret' || type === 'ssh') {
    throw new EngineError(
      'not-implemented',
      `dockerfile line ${place.line}: RUN --mount=type=${type} is not supported`,
    );
  }
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
