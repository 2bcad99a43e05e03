import { EngineError } from '#errdefs';
import { type Digest, isDigest } from '#oci';
import { parseReference, type Reference } from '#reference';

/** One image of a `docker save` archive's `manifest.json`. */
export interface ManifestItem {
  readonly config: string;
  readonly references: readonly Reference[];
  readonly layers: readonly string[];
  readonly parent: Digest | undefined;
}

const maxItems = 10_000;

/** @throws `invalid-argument`. */
export function parseManifestJson(bytes: Buffer): readonly ManifestItem[] {
  const value = parseJson(bytes);
  if (value === null)
    throw new EngineError('invalid-argument', 'invalid manifest, manifest cannot be null (but can be [])');
  if (!Array.isArray(value) || value.length > maxItems) throw invalid('want an array of images');
  return value.map(decodeItem);
}

function decodeItem(value: unknown): ManifestItem {
  if (typeof value !== 'object' || value === null) throw invalid('an image is not an object');
  const { Config, RepoTags, Layers, Parent } = value as Record<string, unknown>;
  if (typeof Config !== 'string' || Config === '') throw invalid('Config is missing');
  if (Parent !== undefined && Parent !== '' && (typeof Parent !== 'string' || !isDigest(Parent)))
    throw invalid('Parent is not a digest');
  return {
    config: Config,
    references: texts(RepoTags, 'RepoTags').map(parseTag),
    layers: texts(Layers, 'Layers'),
    parent: Parent ? (Parent as Digest) : undefined,
  };
}

function parseTag(text: string): Reference {
  const reference = parseReference(text);
  if (reference.tag === undefined || reference.digest !== undefined)
    throw new EngineError('invalid-argument', `invalid tag ${JSON.stringify(text)}`);
  return reference;
}

function texts(value: unknown, name: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.some((entry) => typeof entry !== 'string'))
    throw invalid(`${name} is not a list of strings`);
  return value as string[];
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new EngineError('invalid-argument', `invalid manifest.json: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function invalid(fact: string): EngineError {
  return new EngineError('invalid-argument', `invalid manifest.json: ${fact}`);
}
