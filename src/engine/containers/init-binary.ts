import { helperPath } from '#sys';
import type { ContainerDefaults } from './container-defaults.ts';

/** The init that `--init` puts in front of a command: statically linked, since it runs in any image. */
export function initBinary(defaults: ContainerDefaults = {}): string {
  return defaults.initPath ?? helperPath('init');
}
