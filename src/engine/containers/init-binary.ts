import { helperPath } from '#sys';

/** The init that `--init` puts in front of a command: statically linked, since it runs in any image. */
export function initBinary(): string {
  return helperPath('init');
}
