import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { openFuseOverlay, openVfs } from '#snapshots';
import { snapshotSuite } from '../../src/snapshots/testsuite/index.ts';

const found = spawnSync('fuse-overlayfs', ['--version'], { encoding: 'utf8' });

if (found.status === 0)
  snapshotSuite({ name: 'fuse-overlayfs', open: openFuseOverlay, reference: openVfs, mounts: true });
else test('fuse-overlayfs', { skip: `needs fuse-overlayfs: ${found.error?.message ?? found.stderr}` }, () => {});
