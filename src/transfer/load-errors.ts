import { EngineError } from '#errdefs';

/** What Docker says, by what our readers say: people search the web for these. */
const wordings: readonly (readonly [RegExp, string])[] = [
  [/unexpected end of (archive|file)|unexpected EOF$/, 'unexpected EOF'],
  [/^tar header:|^read tar: .*header|^archive\/tar: invalid tar header/, 'archive/tar: invalid tar header'],
  [/^parse image config: (rootfs is missing|not an object)$/, 'invalid image JSON, no RootFS key'],
];

const maxCauses = 8;

/** The same error in Docker's words where it has some. The original stays as the cause. */
export function inDockersWords(error: unknown): unknown {
  for (let at = error, depth = 0; at instanceof Error && depth < maxCauses; at = at.cause, depth++) {
    if (!(at instanceof EngineError)) continue;
    const { message } = at;
    const wording = wordings.find(([pattern]) => pattern.test(message));
    if (wording) return new EngineError('invalid-argument', wording[1], { cause: error });
  }
  return error;
}

/** A path that an archive names and does not have. */
export function missingMember(path: string): EngineError {
  return new EngineError('invalid-argument', `open ${path}: no such file or directory`);
}
