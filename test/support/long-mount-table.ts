/** In a mount namespace of its own: a mount table with more than 64 KiB of short lines and then lines of many kilobytes, read again and again. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountOverlay, readMountTable } from '#mount';
import { mountFlags, sys } from '#sys';

const [folder = ''] = process.argv.slice(2);
sys.mount('none', '/', '', mountFlags.private | mountFlags.recursive, '');
sys.mount('none', folder, 'tmpfs', 0, '');
for (let at = 0; at < 600; at++) {
  const target = join(folder, `short-${at}`.padEnd(90, 's'));
  mkdirSync(target);
  sys.mount('none', target, 'tmpfs', 0, '');
}
const lowers = Array.from({ length: 200 }, (_, at) => join(folder, `lower-${at}`.padEnd(150, 'l')));
for (const lower of lowers) mkdirSync(lower);
for (let at = 0; at < 4; at++) {
  const target = join(folder, `long-${at}`);
  mkdirSync(target);
  mountOverlay({ lowers, target });
}
const counts = new Set<number>();
for (let tries = 0; tries < 50; tries++) {
  counts.add(readMountTable().filter(({ target }) => target.startsWith(`${folder}/`)).length);
}
console.log([...counts].join(' '));
