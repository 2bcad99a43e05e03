/** A plain chroot is no place to keep containers in, and the daemon says so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireRoot, temporaryFolder } from '#testing';

const home = join(import.meta.dirname, '..', '..');

/** A root of its own whose folders are the machine's, in a mount namespace that goes with the shell. */
const enter = `
set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
for name in bin dev etc home lib lib64 opt proc root sbin srv sys tmp usr work; do
  if [ -L "/$name" ]; then cp -a "/$name" "$1/$name"
  elif [ -d "/$name" ]; then mkdir "$1/$name"; mount --rbind "/$name" "$1/$name"
  fi
done
mkdir -p "$1/run" "$1/var/lib"
exec chroot "$1" "$2" --data-root /var/lib/wherry --exec-root /run/wherry --pidfile /run/wherryd.pid -H unix:///run/wherry.sock
`;

test('a daemon in a chroot does not start, and says where it would', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const root = join(folder.path, 'root');
  mkdirSync(root);
  const args = ['--mount', 'sh', '-c', enter, 'sh', root, join(home, 'bin/wherryd')];
  const ran = spawnSync('unshare', args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(ran.status, 1, ran.stderr);
  assert.match(ran.stderr, /failed to start daemon: .*from within a chroot: start the daemon where its root is/);
});
