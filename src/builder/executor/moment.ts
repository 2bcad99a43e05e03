import type { TarTime, TimeClamp } from '#archive';
import type { ImageConfig } from '#oci';
import { type BuildTimes, epochArgument } from '../source-date-epoch.ts';
import type { StepState } from './state.ts';

/** 1980-01-01: nothing older can be kept in a zip, and so in a wheel or a jar. */
const earliestSec = 315_532_800;

/** When a step takes place, in seconds since the epoch; undefined is now, by the clock. */
export type Moment = number | undefined;

/**
 * The moment of a step: the one that was given, or that of the youngest image among those it stands on, which the state before it and the images
 * that it copies from tell. So it is known from the inputs alone, and a stage's steps do not change because another stage got a new base.
 */
export function momentOf(times: BuildTimes, inputs: readonly Pick<StepState, 'config'>[]): Moment {
  if (times.kind === 'clock') return undefined;
  if (times.kind === 'given') return times.epochSec;
  return Math.max(earliestSec, ...inputs.map(({ config }) => createdSec(config)));
}

/** Images that do not say when they were made may say when their last step was. */
function createdSec({ created, history }: ImageConfig): number {
  const ms = Date.parse(created ?? history?.findLast((entry) => entry.created !== undefined)?.created ?? '');
  return Number.isNaN(ms) ? earliestSec : Math.floor(ms / 1000);
}

export function timeAt(moment: number): TarTime {
  return { sec: moment, nsec: 0 };
}

/** For files that came from elsewhere, or were written since `startedMs`; a second aside, as file systems may lag behind. */
export function clampAt(moment: Moment, startedMs?: number): TimeClamp | undefined {
  if (moment === undefined) return undefined;
  return { atSec: moment, ...(startedMs === undefined ? {} : { fromSec: Math.floor(startedMs / 1000) - 1 }) };
}

/** As a configuration has it. */
export function createdAt(moment: Moment): string {
  return moment === undefined ? new Date().toISOString() : new Date(moment * 1000).toISOString().replace('.000Z', 'Z');
}

/** What a command sees: compilers, archivers and interpreters that ask for the variable leave the same bytes. An own one of the Dockerfile counts. */
export function environmentAt(moment: Moment, env: readonly string[]): readonly string[] {
  if (moment === undefined || env.some((entry) => entry.startsWith(`${epochArgument}=`))) return env;
  return [...env, `${epochArgument}=${moment}`];
}
