import type { Task } from '../task.ts';
import { build } from './build.ts';
import { buildContext } from './build-context.ts';
import { buildParallel } from './build-parallel.ts';
import { changes } from './changes.ts';
import { containers } from './containers.ts';
import { copying } from './copying.ts';
import { distribution } from './distribution.ts';
import { images } from './images.ts';
import { layers } from './layers.ts';
import { listing } from './listing.ts';
import { reading } from './reading.ts';
import { execTrue, runNoNet, runTrue } from './run.ts';

export const tasks: readonly Task[] = [
  runTrue,
  runNoNet,
  execTrue,
  build,
  buildParallel,
  buildContext,
  changes,
  containers,
  copying,
  images,
  layers,
  listing,
  reading,
  distribution,
];

/** By the name of a task or of one of its metrics. */
export function tasksNamed(names: readonly string[]): readonly Task[] {
  const unknown = names.filter((name) => !tasks.some((task) => answersTo(task, name)));
  if (unknown.length > 0) throw new Error(`no such task: ${unknown.join(', ')}`);
  return tasks.filter((task) => names.some((name) => answersTo(task, name)));
}

function answersTo(task: Task, name: string): boolean {
  return task.name === name || name in task.metrics;
}
