import { posix } from 'node:path';
import { newID } from '../ids.ts';
import type { PlannedMount } from './record.ts';

/** What a parser of mounts makes of one. */
export interface ParsedMount {
  readonly mount: PlannedMount;
  /** Of a volume: what the image has there is copied into it while it is empty. */
  readonly copyUp: boolean;
}

export const propagations: ReadonlySet<string> = new Set([
  'private',
  'rprivate',
  'shared',
  'rshared',
  'slave',
  'rslave',
]);

/** What is mounted below it in the container is mounted below the source. */
export const sharesMounts = (propagation: string | undefined) => propagation?.endsWith('shared') ?? false;
export const notBothWays = 'idmap does not go with shared mounts';

export function anonymousVolume(destination: string): Extract<PlannedMount, { kind: 'volume' }> {
  return { kind: 'volume', name: newID(), source: '', destination, mode: '', readOnly: false, anonymous: true };
}

export const cleanDestination = (path: string) => posix.normalize(path).replace(/(?<=.)\/$/, '');
