/** Without the kernel's module: the commands that are run, on a zfs that is played. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { chooseDriver } from './choose.ts';
import { type RunCommand, ZfsTrees, zfsRefusal } from './zfs-trees.ts';

const workers = {
  run: async () => ({ sizeBytes: 0, inodes: 0, standsAlone: false, whiteouts: 'none' as const, faults: [] }),
};

/** Datasets with what they are clones of, and snapshots that go with their last clone; refuses in the words of zfs. */
class PlayedZfs {
  readonly datasets = new Map<string, string | undefined>([['tank/root', undefined]]);
  readonly mounts = new Map<string, string>();
  readonly said: string[] = [];

  readonly run: RunCommand = async (command, ...args) => {
    this.said.push([command, ...args].join(' '));
    if (command === 'mount') return this.#mount(args[2]!, args[3]!);
    if (command === 'umount') this.mounts.delete(args[0]!);
    if (command !== 'zfs') return '';
    const last = args.at(-1)!;
    switch (args[0]) {
      case 'list':
        return args.includes('-r') ? [...this.datasets.keys()].join('\n') : 'tank/root\tfilesystem\n';
      case 'create':
        this.datasets.set(last, undefined);
        return '';
      case 'clone':
        this.datasets.set(last, args.at(-2)!.split('@')[0]);
        return '';
      case 'destroy':
        if (!last.includes('@')) this.#destroy(last);
        return '';
      default:
        return '';
    }
  };

  #mount(dataset: string, path: string): string {
    if (!this.datasets.has(dataset)) throw new Error(`filesystem '${dataset}' cannot be mounted`);
    this.mounts.set(path, dataset);
    return '';
  }

  #destroy(dataset: string): void {
    if (!this.datasets.has(dataset)) throw new Error(`cannot open '${dataset}': dataset does not exist`);
    if ([...this.datasets.values()].includes(dataset))
      throw new Error(`cannot destroy '${dataset}': filesystem has dependent clones`);
    this.datasets.delete(dataset);
  }

  /** What was said, datasets by the order in which they came to be. */
  get words(): string[] {
    const names = [...new Set(this.said.join('\n').match(/[0-9a-f]{24}/g) ?? [])];
    return this.said.map((line) => line.replace(/[0-9a-f]{24}/g, (name) => `#${names.indexOf(name) + 1}`));
  }
}

test('trees are datasets, mounted where they are; clones come of a snapshot that goes with them', async () => {
  await using folder = await temporaryFolder();
  const zfs = new PlayedZfs();
  const trees = await ZfsTrees.open(folder.path, workers, zfs.run);
  const [one, other] = ['one', 'other'].map((name) => join(folder.path, name)) as [string, string];
  for (const path of [one, other]) await mkdir(path);
  await trees.create(join(one, 'diff'));
  await trees.clone(join(one, 'diff'), join(other, 'root'));
  await trees.limit(join(other, 'root'), 5000);
  // A snapshot's folder has another name by the time it goes.
  await rename(other, `${other}.gone`);
  await trees.remove(`${other}.gone`);
  await trees.settled();
  const options = '-o mountpoint=none -o canmount=off -o atime=off -o xattr=sa -o acltype=posixacl';
  assert.deepEqual(zfs.words, [
    `zfs list -H -o name,type ${folder.path}`,
    `zfs create -p ${options} tank/root/wherry`,
    'zfs create -o mountpoint=legacy tank/root/wherry/#1',
    `mount -t zfs tank/root/wherry/#1 ${one}/diff`,
    'zfs snapshot tank/root/wherry/#1@#2',
    'zfs clone -o mountpoint=legacy tank/root/wherry/#1@#2 tank/root/wherry/#2',
    'zfs destroy -d tank/root/wherry/#1@#2',
    `mount -t zfs tank/root/wherry/#2 ${other}/root`,
    'zfs set quota=5000 tank/root/wherry/#2',
    `umount ${other}.gone/root`,
    'zfs destroy tank/root/wherry/#2',
    'zpool wait -t free tank',
  ]);
});

test('a tree that others were cloned from goes after the last of them', async () => {
  await using folder = await temporaryFolder();
  const zfs = new PlayedZfs();
  const trees = await ZfsTrees.open(folder.path, workers, zfs.run);
  const paths = ['a', 'b', 'c'].map((name) => join(folder.path, name));
  for (const path of paths) await mkdir(path);
  await trees.create(join(paths[0]!, 'diff'));
  await trees.clone(join(paths[0]!, 'diff'), join(paths[1]!, 'diff'));
  await trees.clone(join(paths[1]!, 'diff'), join(paths[2]!, 'diff'));
  await trees.remove(paths[0]!);
  await trees.remove(paths[1]!);
  assert.equal(zfs.datasets.size, 5);
  await trees.remove(paths[2]!);
  assert.deepEqual([...zfs.datasets.keys()], ['tank/root', 'tank/root/wherry']);
});

test('the next start mounts what there is, and destroys what nothing names', async () => {
  await using folder = await temporaryFolder();
  const zfs = new PlayedZfs();
  const trees = await ZfsTrees.open(folder.path, workers, zfs.run);
  await mkdir(join(folder.path, 'layers/kept'), { recursive: true });
  await trees.create(join(folder.path, 'layers/kept/diff'));
  zfs.datasets.set(`tank/root/wherry/${'0'.repeat(24)}`, undefined);
  // Named, and not made any more.
  await mkdir(join(folder.path, 'layers/half'));
  await writeFile(join(folder.path, 'layers/half/diff.zfs'), `tank/root/wherry/${'1'.repeat(24)}`);
  zfs.mounts.clear();
  const next = await ZfsTrees.open(folder.path, workers, zfs.run);
  await next.recover([join(folder.path, 'layers'), join(folder.path, 'absent')]);
  assert.deepEqual([...zfs.mounts.keys()], [join(folder.path, 'layers/kept/diff')]);
  assert.equal(zfs.datasets.size, 3);
  await next.remove(join(folder.path, 'layers/half'));
  assert.equal(zfs.datasets.size, 3);
});

test('what is missing is said by name', async () => {
  await using folder = await temporaryFolder();
  const path = process.env['PATH'];
  try {
    process.env['PATH'] = folder.path;
    assert.equal(zfsRefusal(), 'zfs and zpool are not installed');
    const options = { root: join(folder.path, 'root'), runRoot: folder.path, contentPath: () => '' };
    const message = 'storage driver zfs does not work here (requested): zfs: zfs and zpool are not installed';
    await assert.rejects(chooseDriver({ ...options, requested: 'zfs' }), { kind: 'failed-precondition', message });
    for (const name of ['zfs', 'zpool']) {
      await writeFile(join(folder.path, name), '');
      await chmod(join(folder.path, name), 0o755);
    }
    const device = join(folder.path, 'dev');
    assert.equal(zfsRefusal(device), `${device} is missing: the kernel has no zfs module loaded`);
    await writeFile(device, '');
    assert.equal(zfsRefusal(device), undefined);
  } finally {
    process.env['PATH'] = path;
  }
  const played: RunCommand = async () => 'tank/vol\tvolume\n';
  await assert.rejects(ZfsTrees.open('/x', workers, played), /\/x is on no dataset of zfs/);
});
