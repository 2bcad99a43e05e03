import { EngineError } from '#errdefs';

const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const limitBytes = 255;

/** What a volume may be called: one path component that is neither hidden nor special. @throws `invalid-argument` in Docker's words. */
export function checkVolumeName(name: string): string {
  if (name.length === 1) {
    throw new EngineError(
      'invalid-argument',
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    );
  }
  if (!pattern.test(name)) {
    throw new EngineError(
      'invalid-argument',
      `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ` +
        'If you intended to pass a host directory, use absolute path',
    );
  }
  if (name.length > limitBytes) throw new EngineError('invalid-argument', `create ${name}: file name too long`);
  return name;
}
