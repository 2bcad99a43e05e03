/** On an overlay, where the kernel stacks nothing and makes no devices 0/0: what a data root in a container's own files is. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { mountOverlay, unmountBelow } from '#mount';
import { openFuseOverlay, openVfs } from '#snapshots';
import { scratchFolder } from '#testing';
import { snapshotSuite } from '../../src/snapshots/testsuite/index.ts';

const folder = mkdtempSync(join(scratchFolder(), 'wherry-on-overlay-'));

/** Says why not; undefined when it is mounted. */
function mountBelow(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root: mounts and namespaces';
  const found = spawnSync('fuse-overlayfs', ['--version'], { encoding: 'utf8' });
  if (found.status !== 0) return `needs fuse-overlayfs: ${found.error?.message ?? found.stderr}`;
  const [lower, upper, work, target] = ['lower', 'upper', 'work', 'merged'].map((name) => join(folder, name));
  for (const path of [lower!, upper!, work!, target!]) mkdirSync(path);
  mountOverlay({ lowers: [lower!], writable: { upper: upper!, work: work!, volatile: true }, target: target! });
  return undefined;
}

const refusal = mountBelow();

after(async () => {
  await unmountBelow(folder);
  rmSync(folder, { recursive: true, force: true });
});

if (refusal === undefined) {
  process.env['TMPDIR'] = join(folder, 'merged');
  snapshotSuite({
    name: 'fuse-overlayfs on an overlay',
    open: openFuseOverlay,
    reference: openVfs,
    mounts: true,
    // The name of the file that hides it is four bytes longer.
    refuses: ['the longest name, hidden'],
  });
} else test('fuse-overlayfs on an overlay', { skip: refusal }, () => {});
