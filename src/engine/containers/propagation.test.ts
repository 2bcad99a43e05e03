import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountHolding } from './propagation.ts';

const mountinfo = [
  '21 1 8:1 / / rw - ext4 /dev/a rw',
  '30 21 8:1 / /srv rw shared:4 master:2 - ext4 /dev/b rw',
  '31 30 8:1 / /srv/a\\040b rw - tmpfs t rw',
  '32 31 8:1 / /srv/a\\040b rw shared:9 - tmpfs t rw',
  '',
].join('\n');

test('the deepest and latest mount holds a path', () => {
  assert.deepEqual(mountHolding('/home', mountinfo), { mountPoint: '/', tags: [] });
  assert.deepEqual(mountHolding('/srv/x', mountinfo), { mountPoint: '/srv', tags: ['shared', 'master'] });
  assert.deepEqual(mountHolding('/srv/a b/c', mountinfo), { mountPoint: '/srv/a b', tags: ['shared'] });
  assert.deepEqual(mountHolding('/srvx', mountinfo), { mountPoint: '/', tags: [] });
});
