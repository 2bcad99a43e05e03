import { LocationError } from '#dockerfile';
import { placeOf } from '#errdefs';
import { type FaultSource, noteSource } from '../fault-source.ts';

interface Text {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Errors that know their lines get the Dockerfile beside them, which clients show. */
export async function toldWhere<T>(text: Text | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const range = text && rangeOf(error);
    if (range) noteSource(error, { file: text.name, bytes: text.bytes, ...range });
    throw error;
  }
}

function rangeOf(error: unknown): Pick<FaultSource, 'startLine' | 'endLine'> | undefined {
  const place = placeOf(error);
  if (place) return place;
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    if (at instanceof LocationError) return at.range;
  }
  return undefined;
}
