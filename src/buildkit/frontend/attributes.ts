import type { BuildOptions } from '#api-types';
import { EngineError } from '#errdefs';

/** Where the Dockerfile and its context are, in the words of the session. */
export interface DockerfileSource {
  readonly context: string;
  readonly dockerfile: string;
  readonly filename: string;
}

export interface DecodedAttributes {
  readonly options: BuildOptions;
  readonly source: DockerfileSource;
}

/** The attributes of `dockerfile.v0`. @throws `not-implemented` for one that is not honoured */
export function decodeAttributes(attributes: Readonly<Record<string, string>>): DecodedAttributes {
  const buildargs: Record<string, string> = {};
  const labels: Record<string, string> = {};
  let options: BuildOptions = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('build-arg:')) buildargs[name.slice('build-arg:'.length)] = value;
    else if (name.startsWith('label:')) labels[name.slice('label:'.length)] = value;
    else if (name === 'target') options = { ...options, target: value };
    else if (name === 'no-cache' && value === '') options = { ...options, nocache: true };
    else if (name === 'image-resolve-mode') options = { ...options, pull: value === 'pull' };
    else if (!['filename', 'contextkey', 'dockerfilekey'].includes(name)) {
      throw new EngineError('not-implemented', `the frontend attribute ${name} is not supported`);
    }
  }
  const filename = attributes['filename'] || 'Dockerfile';
  return {
    options: { ...options, buildargs, labels, dockerfile: filename },
    source: {
      context: attributes['contextkey'] || 'context',
      dockerfile: attributes['dockerfilekey'] || 'dockerfile',
      filename,
    },
  };
}
