import { EngineError } from '#errdefs';
import { familiarString, isTag, parseReference, withTag as tagged } from '#reference';

const digestForm = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

/** A reference as `name` and `tag` parameters give it; `complete` when it has a tag or a digest. */
export interface NamedParameter {
  readonly reference: string;
  readonly complete: boolean;
}

/** Joins a name with a `tag` parameter, which may be a digest and wins over a tag in the name. @throws `invalid-argument`. */
export function joinName(name: string, tag: string): NamedParameter {
  const parsed = parseReference(name);
  if (tag === '') {
    return { reference: name, complete: parsed.tag !== undefined || parsed.digest !== undefined };
  }
  if (digestForm.test(tag)) {
    return { reference: `${familiarName(name)}@${tag}`, complete: true };
  }
  if (!isTag(tag)) throw new EngineError('invalid-argument', 'invalid tag format');
  return { reference: familiarString(tagged(parsed, tag)), complete: true };
}

/** The name without tag and digest. */
function familiarName(name: string): string {
  const { tag: _tag, digest: _digest, ...bare } = parseReference(name);
  return familiarString(bare);
}
