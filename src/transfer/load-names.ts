import { utf8FromBytes } from '#archive';
import { EngineError } from '#errdefs';

/** How many links one name may lead through. */
const maxLinks = 16;

/** A member's name as one spelling: no `./`, no doubled or leading slashes, `..` resolved. Nothing is ever written under it. */
export function memberName(path: string): string {
  return normalise(utf8FromBytes(path).split('/'), () => `invalid entry name ${JSON.stringify(path)}`);
}

/** Where a hardlink in the archive leads: from the archive's root. */
export function hardlinkTarget(target: string): string {
  return normalise(utf8FromBytes(target).split('/'), () => `invalid hardlink target ${JSON.stringify(target)}`);
}

/** Where a symlink in the archive leads: relative to its own folder, absolute from the archive's root. */
export function symlinkTarget(member: string, target: string): string {
  const text = utf8FromBytes(target);
  const folder = text.startsWith('/') ? [] : member.split('/').slice(0, -1);
  return normalise([...folder, ...text.split('/')], () => outside(text));
}

/** Follows links to the member that has the bytes. @throws `invalid-argument` on a loop. */
export function followLinks(links: ReadonlyMap<string, string>, path: string): string {
  let at = normalise(path.split('/'), () => outside(path));
  for (let steps = 0; steps < maxLinks; steps++) {
    const next = links.get(at);
    if (next === undefined) return at;
    at = next;
  }
  throw new EngineError('invalid-argument', `open ${path}: too many levels of symbolic links`);
}

/** A name that climbs out of the archive is an attack on those who unpack it to a folder; it is refused rather than read leniently. */
function normalise(parts: readonly string[], fault: () => string): string {
  const kept: string[] = [];
  for (const part of parts) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.pop() === undefined) throw new EngineError('invalid-argument', fault());
  }
  return kept.join('/');
}

const outside = (path: string) => `${JSON.stringify(path)} is outside of the archive`;
