import { type AddInstruction, type CopyInstruction, shellOf } from '#dockerfile';
import { EngineError } from '#errdefs';
import type { StageScope } from './convert.ts';
import { parseModeChange } from './file-mode.ts';
import type { CopyOperation } from './operations.ts';
import { checkedSum, sourceKind } from './remote-sources.ts';
import { copyFrom } from './stages.ts';

/** COPY or ADD with its variables put in. @throws EngineError `invalid-argument` in Docker's words. */
export function copyOperation(instruction: CopyInstruction | AddInstruction, scope: StageScope): CopyOperation {
  const keyword = instruction.kind === 'copy' ? 'COPY' : 'ADD';
  const { sources, inline, destination, chown, chmod } = instruction;
  if (instruction.kind === 'copy' && sources.some((source) => sourceKind(source) === 'http')) {
    throw new EngineError('invalid-argument', `COPY failed: source can't be a URL for COPY`);
  }
  if (chmod !== '') parseModeChange(chmod);
  return {
    kind: 'copy',
    keyword,
    from: copyFrom(instruction.kind === 'copy' ? instruction.from : '', scope),
    sources,
    inline,
    destination,
    chown,
    chmod,
    excludes: instruction.excludes,
    parents: instruction.kind === 'copy' && instruction.parents,
    ...addFields(instruction),
    workingDir: scope.config.WorkingDir || '/',
    shell: shellOf(scope.config.Shell),
    config: scope.config,
    author: scope.author,
  };
}

function addFields(
  instruction: CopyInstruction | AddInstruction,
): Pick<CopyOperation, 'checksum' | 'unpack' | 'keepGitDir'> {
  if (instruction.kind === 'copy') return { keepGitDir: false };
  const { checksum, unpack, keepGitDir = false, sources } = instruction;
  return {
    keepGitDir,
    ...(unpack === undefined ? {} : { unpack }),
    ...(checksum === '' ? {} : { checksum: checkedSum(checksum, sources) }),
  };
}
