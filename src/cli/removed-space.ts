import type { Engine } from '#api-types';
import { isKind } from '#errdefs';
import { humanSize } from './table.ts';

/** What a call that removes gave, in bytes of the disk. */
export interface RemovedSpace {
  readonly freedBytes: number;
  /** Kept, and brought back by undoing these calls, oldest first. */
  readonly trashedBytes: number;
  readonly undo: readonly number[];
}

export const noSpace: RemovedSpace = { freedBytes: 0, trashedBytes: 0, undo: [] };

/** Runs a call that removes, and tells what it freed from what it put into the trash. `reclaimed`: the bytes of its answer. */
export async function removing<T>(
  engine: Engine,
  action: string,
  call: () => Promise<T>,
  reclaimed: (answer: T) => number | Promise<number>,
): Promise<{ answer: T; space: RemovedSpace }> {
  const last = Math.max(0, ...(await trashOf(engine)).map((item) => item.Number));
  const answer = await call();
  const kept = (await trashOf(engine)).filter((item) => item.Number > last && item.Action === action);
  const reclaimedBytes = await reclaimed(answer);
  const trashedBytes = kept.reduce((sum, { Size }) => sum + Size, 0);
  return {
    answer,
    space: {
      freedBytes: kept.length > 0 ? 0 : reclaimedBytes,
      trashedBytes,
      undo: kept.map((item) => item.Number).sort((a, b) => a - b),
    },
  };
}

/** Nothing with an engine that keeps nothing for an undo. */
async function trashOf(engine: Engine) {
  try {
    return await engine.trash.list();
  } catch (error) {
    if (isKind(error, 'not-found')) return [];
    throw error;
  }
}

export function sumOf(spaces: readonly RemovedSpace[]): RemovedSpace {
  return spaces.reduce(
    (sum, space) => ({
      freedBytes: sum.freedBytes + space.freedBytes,
      trashedBytes: sum.trashedBytes + space.trashedBytes,
      undo: [...sum.undo, ...space.undo],
    }),
    noSpace,
  );
}

/** Docker's line, and behind it where the bytes are. */
export function spaceLines({ freedBytes, trashedBytes, undo }: RemovedSpace): string {
  const total = `Total reclaimed space: ${humanSize(freedBytes + trashedBytes)}\n`;
  if (undo.length === 0) return total;
  const back = undo.length === 1 ? `wherry undo ${undo[0]}` : `wherry undo -n ${undo.length}`;
  return `${total} freed now: ${humanSize(freedBytes)}\n in the trash: ${humanSize(trashedBytes)} ("${back}" brings it back, "wherry trash empty" frees it)\n`;
}
