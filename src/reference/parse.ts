import { EngineError } from '#errdefs';
import { type Digest, isDigest, parseDigest } from '#oci';
import { identifierPattern, maxPathLength, maxReferenceLength, referencePattern, tagPattern } from './grammar.ts';
import type { Reference } from './types.ts';

const defaultDomain = 'docker.io';
/** Hub's other hosts: of its oldest API, and where its registry is. */
const otherNames: readonly string[] = ['index.docker.io', 'registry-1.docker.io'];
const officialPrefix = 'library/';
const defaultTag = 'latest';

/**
 * Reads a reference as Docker's clients write it and normalises it: `busybox` is `docker.io/library/busybox`. No tag is added.
 * @throws `invalid-argument` with Docker's wording.
 */
export function parseReference(text: string): Reference {
  if (text.length > maxReferenceLength) {
    throw refuse(/^[a-z0-9._/-]+$/.test(text) ? nameTooLong : 'invalid reference format');
  }
  if (identifierPattern.test(text)) {
    throw refuse(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const { domain, remainder } = splitDomain(text);
  const [remote] = remainder.split(':', 1);
  if (remote !== remote!.toLowerCase()) {
    throw refuse(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  const match = referencePattern.exec(`${domain}/${remainder}`);
  // A host of the wrong shape could still be read as the start of a path.
  if (match?.[1] === undefined) throw refuse('invalid reference format');
  const [, matchedDomain, path, tag, digest] = match;
  if (path!.length > maxPathLength) throw refuse(nameTooLong);
  return {
    domain: matchedDomain!,
    path: path!,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest: parseDigest(digest) }),
  };
}

const nameTooLong = `repository name must not be more than ${maxPathLength} characters`;

function refuse(message: string): EngineError {
  return new EngineError('invalid-argument', message);
}

/** The first component is a host when it looks like one: it has a dot, a colon or a capital, or is `localhost`. */
function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const rest = text.slice(slash + 1);
  const isHost = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase();
  if (!isHost) return { domain: defaultDomain, remainder: official(text) };
  return first === defaultDomain || otherNames.includes(first)
    ? { domain: defaultDomain, remainder: official(rest) }
    : { domain: first, remainder: rest };
}

function official(path: string): string {
  return path.includes('/') ? path : officialPrefix + path;
}

export function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}

/** What a user may mean by a word: an image ID in full (64 hex digits, or a digest), or a name. A short ID is a valid name; look it up as both. */
export type AnyReference =
  | { readonly kind: 'id'; readonly digest: Digest }
  | { readonly kind: 'name'; readonly reference: Reference };

/** @throws `invalid-argument` with Docker's wording. */
export function parseAnyReference(text: string): AnyReference {
  if (identifierPattern.test(text)) return { kind: 'id', digest: parseDigest(`sha256:${text}`) };
  if (isDigest(text)) return { kind: 'id', digest: text };
  return { kind: 'name', reference: parseReference(text) };
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** The same repository with this tag and no digest. @throws `invalid-argument` on a bad tag. */
export function withTag(reference: Reference, tag: string): Reference {
  if (!isTag(tag)) throw refuse('invalid tag format');
  return { domain: reference.domain, path: reference.path, tag };
}

/** The same repository at this digest; a tag it has stays. */
export function withDigest(reference: Reference, digest: Digest): Reference {
  return { ...reference, digest };
}

/** `latest`, when there is neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? withTag(reference, defaultTag) : reference;
}

/** The repository alone. */
export function trimNamed(reference: Reference): Reference {
  return { domain: reference.domain, path: reference.path };
}
