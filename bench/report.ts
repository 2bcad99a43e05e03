import { median, short } from './figures.ts';
import type { Measured } from './measure.ts';
import type { Task } from './task.ts';

export const reportHead: readonly string[] = ['metric', 'ours', 'min–max', 'peer', 'min–max', 'ours/peer', 'unit', 'n'];
const absent = '–';

/** A row for each metric that anybody has. */
export function reportRows(task: Task, { values }: Measured): string[][] {
  return Object.entries(task.metrics).flatMap(([metric, unit]) => {
    const ours = values.get('ours')?.get(metric) ?? [];
    const peer = values.get('peer')?.get(metric) ?? [];
    if (ours.length + peer.length === 0) return [];
    const ratio = ours.length > 0 && peer.length > 0 ? (median(ours) / median(peer)).toFixed(2) : absent;
    return [[metric, ...spread(ours), ...spread(peer), ratio, unit, String(Math.max(ours.length, peer.length))]];
  });
}

function spread(values: readonly number[]): [string, string] {
  if (values.length === 0) return [absent, absent];
  return [short(median(values)), `${short(Math.min(...values))}–${short(Math.max(...values))}`];
}
