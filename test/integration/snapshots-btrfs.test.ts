/** On a btrfs of the test's own, in a file: in memory where there is some, since every clone is a commit to the disk. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { unmountBelow } from '#mount';
import { openBtrfs, openVfs } from '#snapshots';
import { scratchFolder } from '#testing';
import { snapshotSuite } from '../../src/snapshots/testsuite/index.ts';

/** Says why not; undefined when it is mounted. */
function mountBtrfs(folder: string): string | undefined {
  const image = join(memory ?? folder, 'btrfs.img');
  execFileSync('truncate', ['-s', '2G', image]);
  const made = spawnSync('mkfs.btrfs', ['-q', image], { encoding: 'utf8' });
  if (made.error || made.status !== 0) return `mkfs.btrfs of btrfs-progs: ${made.error?.message ?? made.stderr}`;
  mkdirSync(join(folder, 'mnt'));
  const mounted = spawnSync('mount', ['-o', 'loop', image, join(folder, 'mnt')], { encoding: 'utf8' });
  return mounted.status === 0 ? undefined : `mount btrfs: ${mounted.stderr}`;
}

const folder = mkdtempSync(join(scratchFolder(), 'wherry-btrfs-'));
const memory = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/wherry-btrfs-') : undefined;
const refusal = process.getuid?.() === 0 ? mountBtrfs(folder) : 'needs root: mounts and namespaces';

after(async () => {
  await unmountBelow(folder);
  if (memory) rmSync(memory, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

if (refusal === undefined) {
  process.env['TMPDIR'] = join(folder, 'mnt');
  snapshotSuite({ name: 'btrfs', open: (options) => openBtrfs(options), reference: openVfs, mounts: false });
} else test('btrfs', { skip: refusal }, () => {});
