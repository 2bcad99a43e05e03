import type { DeltaHeader, DeltaLayer } from '#delta';
import { EngineError, type ErrorKind, kindOf, messageOf } from '#errdefs';
import { isNoSpace } from '#files';

const maxNamed = 5;

/** The other side took layers for granted that are not here. */
export function baseMissing({ since }: DeltaHeader, missing: readonly DeltaLayer[]): EngineError {
  const named = missing.slice(0, maxNamed).map(({ digest, sizeBytes }) => `${digest} (${sizeBytes} bytes)`);
  if (missing.length > maxNamed) named.push(`${missing.length - maxNamed} more`);
  const base = since.length === 0 ? '' : `it was saved since ${since.join(', ')}; `;
  const fact = `${base}not here: layer ${named.join(', ')}`;
  return new EngineError('not-found', `load delta: ${fact}`);
}

/** These come out the same another time; and a full disk wants its space back. */
const finalKinds: ReadonlySet<ErrorKind> = new Set([
  'data-loss',
  'invalid-argument',
  'not-implemented',
  'out-of-range',
]);

export function mayGoOn(error: unknown): boolean {
  return isCut(error) || !(finalKinds.has(kindOf(error)) || isNoSpace(error));
}

/** An archive that ends too early, with what came of it; undefined for any other failure. */
export function cutDelta(error: unknown, whole: number, layers: number): EngineError | undefined {
  if (!isCut(error)) return undefined;
  const kept = whole === 0 ? '' : ` and ${whole === 1 ? 'is' : 'are'} kept for a day; load the whole archive to go on`;
  const fact = `the archive is cut: ${whole} of its ${layers} layers came whole${kept}`;
  return new EngineError('invalid-argument', `load delta: ${fact}`, { cause: error });
}

/** In the words of the tar reader, and of inflaters. */
function isCut(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++)
    if (/unexpected end of (archive|file)|unexpected EOF$/.test(messageOf(at))) return true;
  return false;
}
