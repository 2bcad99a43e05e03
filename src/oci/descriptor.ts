import { isDigest } from './digest.ts';
import { asFields, type Fields, field, integer, invalid, list, present, text, textMap, texts } from './fields.ts';
import type { Descriptor, Digest, Platform } from './types.ts';

/** image-spec v1.1 descriptor.md. `what` names it in messages. @throws `invalid-argument`. */
export function decodeDescriptor(value: unknown, what: string): Descriptor {
  const fields = asFields(value, what);
  const sizeBytes = integer(fields, 'size');
  if (sizeBytes === undefined || sizeBytes < 0 || !Number.isSafeInteger(sizeBytes)) {
    throw invalid(what, 'size is missing or out of range');
  }
  const platform = field(fields, 'platform');
  return present({
    mediaType: mediaTypeOf(fields),
    digest: digestField(fields, 'digest'),
    size: sizeBytes,
    urls: texts(fields, 'urls'),
    annotations: textMap(fields, 'annotations'),
    platform: platform === undefined ? undefined : decodePlatform(platform, `${what} platform`),
    artifactType: text(fields, 'artifactType'),
    data: text(fields, 'data'),
  });
}

export function decodeDescriptors(fields: Fields, name: string): readonly Descriptor[] {
  return (list(fields, name) ?? []).map((value, index) => decodeDescriptor(value, `${fields.what} ${name}[${index}]`));
}

export function digestField(fields: Fields, name: string): Digest {
  const value = text(fields, name);
  if (value === undefined || !isDigest(value)) throw invalid(fields.what, `${name} is not a digest`);
  return value;
}

function decodePlatform(value: unknown, what: string): Platform {
  const fields = asFields(value, what);
  return present({
    os: text(fields, 'os') ?? '',
    architecture: text(fields, 'architecture') ?? '',
    variant: text(fields, 'variant'),
    'os.version': text(fields, 'os.version'),
    'os.features': texts(fields, 'os.features'),
  });
}

/** RFC 6838 §4.2, with a bound; old tools leave it out in places, and that is the empty string. */
function mediaTypeOf(fields: Fields): string {
  const value = text(fields, 'mediaType') ?? '';
  if (value === '' || /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/.test(value)) {
    return value;
  }
  throw invalid(fields.what, 'mediaType is not a media type');
}
