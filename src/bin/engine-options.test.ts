import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { readInvocation } from './daemon-config.ts';
import { engineOptions } from './engine-options.ts';

test('a daemon reads the certificates of registries where Docker does', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'daemon.json');
  await writeFile(path, '{"insecure-registries":["a:1"],"registry-mirrors":["https://m"]}');
  const invocation = await readInvocation(['--config-file', path]);
  assert.ok('config' in invocation);
  assert.deepEqual(engineOptions(invocation.config).registry, {
    insecure: ['a:1'],
    mirrors: ['https://m'],
    certsDir: '/etc/docker/certs.d',
  });
});
