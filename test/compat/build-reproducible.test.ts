/** One Dockerfile and one context on different machines, as far as one machine can play several: the same image, and the same manifest in a registry. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { endOfArchive, packHeader } from '#archive';
import { serveRegistry } from '#registry-server';
import { type ContainerSetup, containerSetup } from './containers-fixture.ts';

const wherryPath = join(import.meta.dirname, '../../bin/wherry');

const tarTime = { sec: 1_400_000_000, nsec: 7 };
const archive = Buffer.concat([
  packHeader({ type: 'directory', path: 'in/', mode: 0o755, mtime: tarTime }),
  packHeader({ type: 'file', path: 'in/z', mode: 0o640, uid: 5, mtime: tarTime }),
  packHeader({ type: 'hardlink', path: 'in/a', linkPath: 'in/z', mtime: tarTime }),
  endOfArchive,
]);

const files: readonly (readonly [path: string, content: string | Buffer])[] = [
  [
    'Dockerfile',
    [
      'FROM base AS one',
      'WORKDIR /work/deep',
      'COPY . /all/',
      'RUN for n in 3 1 2; do mkdir -p /made/$n && echo $n > /made/$n/f; done; ln /made/1/f /made/link; hostname > /dev/null; chmod 700 /made/2; rm /bin/ping; umask > /dev/null',
      'FROM base AS two',
      'RUN id > /id; sleep 0.1',
      'ADD archive.tar sub /unpacked/',
      'FROM one',
      'COPY --from=two /id /unpacked /two/',
      'COPY --chown=3:4 --chmod=600 sub/b /made/',
      'ENV A=1',
      'LABEL z=1 a=2',
      'CMD ["sh"]',
      '',
    ].join('\n'),
  ],
  ['sub/a', 'a'],
  ['sub/b', 'b'],
  ['sub/deep/c', 'c'.repeat(100_000)],
  ['run.sh', '#!/bin/sh\n'],
  ['archive.tar', archive],
  ['.dockerignore', 'ignored\n'],
];

interface Checkout {
  readonly parent: string;
  readonly order: 1 | -1;
  readonly sec: number;
}

/** The same context as somebody else would have it: elsewhere, written in another order, at another time, with something that is ignored. */
async function checkOut({ parent, order, sec }: Checkout): Promise<string> {
  await mkdir(parent, { recursive: true });
  const root = await mkdtemp(join(parent, 'context-'));
  for (const [path, content] of [...files].sort(([a], [b]) => (a < b ? -order : order))) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
    await chmod(join(root, path), path === 'run.sh' ? 0o755 : 0o644);
  }
  await symlink('sub/a', join(root, 'link'));
  await writeFile(join(root, 'ignored'), String(sec));
  for (const path of ['sub/deep', 'sub', '']) await chmod(join(root, path), 0o755);
  for (const [path] of files) await utimes(join(root, path), sec, sec);
  await utimes(join(root, 'sub'), sec + 5, sec + 5);
  return root;
}

const elsewhere = ['/usr/bin/unshare', '--uts', '/bin/sh', '-c', 'hostname elsewhere; umask 077; exec "$@"', 'sh'];

interface Machine {
  readonly flags: readonly string[];
  readonly within?: readonly string[];
  readonly checkout: Checkout;
  readonly client: 'docker' | 'wherry';
}

const machines: readonly Machine[] = [
  { flags: [], client: 'docker', checkout: { parent: '/tmp', order: 1, sec: 1_000_000_000 } },
  {
    flags: ['--storage-driver=overlay2'],
    within: elsewhere,
    client: 'docker',
    checkout: { parent: '/dev/shm', order: -1, sec: 2_000_000_000 },
  },
  {
    flags: ['--storage-driver=vfs'],
    client: 'wherry',
    checkout: { parent: '/var/tmp', order: -1, sec: 1_700_000_000 },
  },
];

test('drivers, folders, times, orders, masks, names and clients: one image and one manifest', async (t) => {
  const ids: string[] = [];
  const manifests: string[] = [];
  await using held = new AsyncDisposableStack();
  let base: Buffer | undefined;
  for (const machine of machines) {
    const setup = await opened(t, machine, held);
    if (!setup) return;
    base ??= await savedBase(setup);
    await setup.docker.run(['load'], { input: base });
    ids.push(await built(setup, machine, held));
    manifests.push(await pushed(setup));
  }
  assert.deepEqual(new Set(ids).size, 1, ids.join('\n'));
  assert.deepEqual(new Set(manifests).size, 1, manifests.join('\n'));
});

async function opened(
  t: TestContext,
  machine: Machine,
  held: AsyncDisposableStack,
): Promise<ContainerSetup | undefined> {
  const { flags, within } = machine;
  const setup = await containerSetup(t, ['--bridge=none', '--iptables=false', ...flags], within ? { within } : {});
  return setup && held.use(setup);
}

async function savedBase({ docker, folder }: ContainerSetup): Promise<Buffer> {
  const path = join(folder, 'base.tar');
  await docker.ok('save', '-o', path, 'base');
  return await readFile(path);
}

async function built({ docker, daemon }: ContainerSetup, { client, checkout }: Machine, held: AsyncDisposableStack) {
  const context = await checkOut(checkout);
  held.defer(() => rm(context, { recursive: true }));
  const args = ['build', '--no-cache', '--network', 'none', '-t', 'made', context];
  if (client === 'docker') await docker.ok(...args);
  else {
    const command = [wherryPath, '-H', daemon.host, ...args].join(' ');
    const ran = spawnSync('/bin/sh', ['-c', `umask 007; ${command}`], { encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr);
  }
  return (await docker.ok('inspect', '-f', '{{.Id}}', 'made')).trim();
}

async function pushed({ docker, folder }: ContainerSetup): Promise<string> {
  await using registry = await serveRegistry({ root: join(folder, 'registry'), addr: '127.0.0.1:0' });
  await docker.ok('tag', 'made', `${registry.address}/made:1`);
  const output = await docker.ok('push', `${registry.address}/made:1`);
  return /^1: digest: (sha256:[0-9a-f]{64}) size: \d+$/m.exec(output)?.[1] ?? output;
}
