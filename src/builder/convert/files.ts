import { type AddInstruction, type CopyInstruction, shellOf } from '#dockerfile';
import { EngineError } from '#errdefs';
import type { StageScope } from './convert.ts';
import { parseModeChange } from './file-mode.ts';
import type { CopyOperation } from './operations.ts';
import { copyFrom } from './stages.ts';
import { isRemote } from './support.ts';

/** COPY or ADD with its variables put in. @throws EngineError `invalid-argument` in Docker's words. */
export function copyOperation(instruction: CopyInstruction | AddInstruction, scope: StageScope): CopyOperation {
  const keyword = instruction.kind === 'copy' ? 'COPY' : 'ADD';
  const line = instruction.range.startLine;
  const { sources, inline, destination, chown, chmod } = instruction;
  if (instruction.kind === 'copy' && sources.some(isRemote)) {
    throw new EngineError('invalid-argument', `COPY failed: source can't be a URL for COPY`);
  }
  if (sources.some(isRemote)) {
    throw new EngineError('not-implemented', `dockerfile line ${line}: ADD of a URL is not supported`);
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
    workingDir: scope.config.WorkingDir || '/',
    shell: shellOf(scope.config.Shell),
    config: scope.config,
    author: scope.author,
  };
}
