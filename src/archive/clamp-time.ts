import type { TarTime } from './types.ts';

/** No time in an archive after a moment: what is written today would else tell when. */
export interface TimeClamp {
  /** What later times become, in whole seconds since the epoch. */
  readonly atSec: number;
  /** Times from here on are changed, where that is before `atSec`: what was written today, for a moment that is still to come. */
  readonly fromSec?: number;
}

/** Times before the moment are what they are. */
export function clampTime(time: TarTime, clamp: TimeClamp | undefined): TarTime {
  if (clamp === undefined || time.sec < Math.min(clamp.atSec, clamp.fromSec ?? clamp.atSec)) return time;
  return { sec: clamp.atSec, nsec: 0 };
}
