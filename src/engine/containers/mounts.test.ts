import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MountOptions } from '#api-types';
import { temporaryFolder } from '#testing';
import { decideMounts } from './mounts.ts';
import { specMounts } from './spec-mounts.ts';

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
