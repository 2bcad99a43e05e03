/** A plain chroot is no place to keep containers in, and the daemon says so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireRoot, temporaryFolder } from '#testing';

const home = join(import.meta.dirname, '..', '..');

/** The machine's root once more, wherever this checkout is, and in it one folder that the root outside does not have. */
const enter = `
set -e
mount --make-rprivate /
mount --rbind / "$1"
mount -t tmpfs none "$1$2"
exec chroot "$1" "$3" --data-root "$2/data" --exec-root "$2/run" --pidfile "$2/wherryd.pid" -H "unix://$2/wherry.sock"
`;

/** It would be left behind. */
function bridgeOf(dataRoot: string): RegExp {
  return new RegExp(`wh-${createHash('sha256').update(dataRoot).digest('hex').slice(0, 8)}`);
}

test('a daemon in a chroot does not start, and says where it would', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const root = join(folder.path, 'root');
  const state = join(folder.path, 'state');
  for (const made of [root, state]) mkdirSync(made);
  const args = ['--mount', 'sh', '-c', enter, 'sh', root, state, join(home, 'bin/wherryd')];
  const ran = spawnSync('unshare', args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(ran.status, 1, ran.stderr);
  assert.doesNotMatch(spawnSync('ip', ['-br', 'link'], { encoding: 'utf8' }).stdout, bridgeOf(join(state, 'data')));
  assert.match(ran.stderr, /failed to start daemon: .*from within a chroot: start the daemon where its root is/);
});
