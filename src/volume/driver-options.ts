import { EngineError } from '#errdefs';

const known = ['type', 'o', 'device', 'size'];

/**
 * The local driver's options (`type`, `o`, `device`: a mount made when the volume is used). Wrong ones are refused as Docker does, right ones because
 * they are not honoured yet.
 * @throws `invalid-argument`, `not-implemented`
 */
export function checkDriverOptions(name: string, options: Readonly<Record<string, string>>): void {
  const keys = Object.keys(options);
  const unknown = keys.find((key) => !known.includes(key));
  if (unknown !== undefined) throw new EngineError('invalid-argument', `create ${name}: invalid option: "${unknown}"`);
  if (keys.includes('size')) {
    throw new EngineError('invalid-argument', `create ${name}: quota size requested but no quota support`);
  }
  if (keys.length > 0 && !options['device']) {
    throw new EngineError('invalid-argument', `create ${name}: missing required option: "device"`);
  }
  if (keys.length > 0) {
    throw new EngineError(
      'not-implemented',
      `create ${name}: options of the local driver (${keys.join(', ')}) are not supported yet`,
    );
  }
}
