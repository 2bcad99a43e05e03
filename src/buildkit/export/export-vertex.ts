import { namedVertex, type ShownVertex } from '#builder';
import type { RunningBuild } from '../control/running-build.ts';

/** An export is done again in every build. */
export function exportVertex({ ref }: RunningBuild, number: number, name: string): ShownVertex {
  return { ...namedVertex(`${ref} ${number} ${name}`), name };
}
