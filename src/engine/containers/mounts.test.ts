import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostConfig, MountOptions } from '#api-types';
import { temporaryFolder } from '#testing';
import { decideMounts } from './mounts.ts';
import { specMounts } from './spec-mounts.ts';

test('modes and places in Docker’s words', () => {
  const mode = (bind: string) => {
    const { mounts } = decideMounts({}, { Binds: [bind] });
    return mounts.map((mount) => mount.kind !== 'tmpfs' && [mount.mode, mount.readOnly])[0];
  };
  assert.deepEqual(mode('/tmp:/d:cached'), ['cached', false]);
  assert.deepEqual(mode('/tmp:/d:ro,delegated'), ['ro,delegated', true]);
  assert.deepEqual(mode('volume:/d:nocopy,consistent'), ['nocopy,consistent', false]);
  const refused = (host: HostConfig, message: string) => assert.throws(() => decideMounts({}, host), { message });
  refused({ Binds: ['/tmp:/d:cached,delegated'] }, 'invalid mode: cached,delegated');
  const specification = (bind: string, type: string) =>
    `invalid volume specification: '${bind}': invalid mount config for type "${type}"`;
  refused(
    { Binds: ['/tmp:/d:nocopy'] },
    `${specification('/tmp:/d:nocopy', 'bind')}: field VolumeOptions must not be specified`,
  );
  refused(
    { Binds: ['volume:/d:rshared'] },
    `${specification('volume:/d:rshared', 'volume')}: field BindOptions must not be specified`,
  );
  const short = 'create x: volume name is too short, names should be at least two alphanumeric characters';
  refused({ Binds: ['x:/d'] }, short);
  refused({ Mounts: [{ Type: 'volume', Source: 'x', Target: '/d' }] }, short);
  refused({ Tmpfs: { '/': '' } }, "invalid specification: destination can't be '/'");
  const tmpfs = { Type: 'tmpfs', Target: '/d/' } as const;
  refused({ Mounts: [tmpfs, tmpfs] }, 'Duplicate mount point: /d/');
  refused({ Mounts: [{ Type: 'npipe', Target: '/d' }] }, 'invalid mount config for type "npipe": mount type unknown');
});

test('a tmpfs of Mounts covers one at the same place; options are looked at when it is mounted', () => {
  const size = { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 4096 } } as const;
  const { mounts } = decideMounts({}, { Mounts: [size], Tmpfs: { '/t': 'size=1m' } });
  assert.deepEqual(
    specMounts(mounts).map(({ options }) => options),
    [['noexec', 'nosuid', 'nodev', 'size=4096']],
  );
  const unknown = decideMounts({}, { Tmpfs: { '/t': 'size=1m,bogus' } });
  assert.throws(() => specMounts(unknown.mounts), { message: 'invalid tmpfs option "bogus"' });
});

test('a read-only bind is read-only down to what is mounted below, unless asked for otherwise', async () => {
  await using folder = await temporaryFolder();
  const source = folder.path;
  const options = (host: { Binds?: string[]; Mounts?: MountOptions[] }, readOnlyNonRecursive?: boolean) => {
    const how = readOnlyNonRecursive === undefined ? {} : { readOnlyNonRecursive };
    return specMounts(decideMounts({}, host, how).mounts)[0]?.options;
  };
  const bind = (over: Partial<MountOptions>): { Mounts: MountOptions[] } => ({
    Mounts: [{ Type: 'bind', Source: source, Target: '/b', ReadOnly: true, ...over }],
  });
  const deep = ['rbind', 'ro', 'rro', 'rprivate'];
  const flat = ['rbind', 'ro', 'rprivate'];
  assert.deepEqual(options({ Binds: [`${source}:/b:ro`] }), deep);
  assert.deepEqual(options({ Binds: [`${source}:/b:ro`] }, true), flat);
  assert.deepEqual(options({ Binds: [`${source}:/b`] }, true), ['rbind', 'rw', 'rprivate']);
  assert.deepEqual(options(bind({})), deep);
  assert.deepEqual(options(bind({}), true), flat);
  assert.deepEqual(options(bind({ BindOptions: { ReadOnlyNonRecursive: true } })), flat);
  assert.deepEqual(options(bind({ BindOptions: { ReadOnlyNonRecursive: false } })), deep);
  const file = join(source, 'file');
  await writeFile(file, '');
  assert.deepEqual(options({ Binds: [`${file}:/b:ro`] }), flat, 'nothing is mounted below a file');
});
