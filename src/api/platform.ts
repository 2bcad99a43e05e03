import { EngineError, messageOf } from '#errdefs';
import { formatPlatform } from '#oci';
import { list, object, string } from './decode.ts';
import { unmarshal } from './go-json.ts';

const platform = object<{
  os?: string;
  architecture?: string;
  variant?: string;
  'os.version'?: string;
  'os.features'?: readonly string[];
}>('v1.Platform', {
  os: string(),
  architecture: string(),
  variant: string(),
  'os.version': string(),
  'os.features': list(string()),
});

/** A `platform` parameter that is an OCI platform as JSON (inspect, history, push, save, load, rmi), as `os/arch/variant`. */
export function platformFromJson(text: string): string | undefined {
  if (text === '') return undefined;
  const value = read(text);
  if (!value.os || !value.architecture) {
    throw new EngineError('invalid-argument', 'both OS and Architecture must be provided');
  }
  const version = value['os.version'];
  const os = version && !/[()+/]/.test(version) ? `${value.os}(${version})` : value.os;
  return formatPlatform({ ...value, os, architecture: value.architecture });
}

function read(text: string) {
  try {
    return platform.decode(unmarshal(text), '');
  } catch (cause) {
    throw new EngineError('invalid-argument', `failed to parse platform: ${messageOf(cause)}`, { cause });
  }
}
