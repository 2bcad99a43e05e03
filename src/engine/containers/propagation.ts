import { readFileSync, realpathSync } from 'node:fs';
import { EngineError } from '#errdefs';

/** The mount that holds a path, and what it shares: proc(5) mountinfo, fields 5 and 7 on. */
export function mountHolding(path: string, mountinfo: string): { mountPoint: string; tags: readonly string[] } {
  let found = { mountPoint: '/', tags: [] as readonly string[] };
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const mountPoint = unescapeOctal(fields[4] ?? '');
    const holds = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
    // Of mounts on one place the last covers the others.
    if (mountPoint === '' || !holds || mountPoint.length < found.mountPoint.length) continue;
    found = { mountPoint, tags: fields.slice(6, fields.indexOf('-')).map((tag) => tag.split(':', 1)[0]!) };
  }
  return found;
}

const unescapeOctal = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** A bind can pass on only what its source's mount takes part in. @throws `invalid-argument` in Docker's words. */
export function checkPropagation(source: string, propagation: string): void {
  if (!/shared$|slave$/.test(propagation)) return;
  const path = realpathSync(source);
  const { mountPoint, tags } = mountHolding(path, readFileSync('/proc/self/mountinfo').toString());
  const mayBeSlave = propagation.endsWith('slave') && tags.includes('master');
  if (tags.includes('shared') || mayBeSlave) return;
  const needed = propagation.endsWith('slave') ? 'a shared or slave mount' : 'a shared mount';
  throw new EngineError('invalid-argument', `path ${source} is mounted on ${mountPoint} but it is not ${needed}`);
}
