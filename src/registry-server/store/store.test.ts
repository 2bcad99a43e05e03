import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { temporaryFolder } from '#testing';
import { openDirectoryBlobs } from './directory-blobs.ts';
import { FolderSync } from './folder-sync.ts';
import { importDirectory } from './import-directory.ts';
import { openSqliteMeta } from './sqlite-meta.ts';
import { testBlobStore } from './testsuite/blob-store.ts';
import { testMetaStore } from './testsuite/meta-store.ts';

testBlobStore('directory blobs', async () => {
  const folder = await temporaryFolder();
  return {
    store: await openDirectoryBlobs(folder.path),
    reopen: () => openDirectoryBlobs(folder.path),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});

testMetaStore('SQLite', async (now) => {
  const folder = await temporaryFolder();
  const store = await openSqliteMeta(folder.path, { now });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
});

test('repositories that were kept as folders are taken over, once', async () => {
  await using folder = await temporaryFolder();
  const file = (text: string) => digestOf(text).replace(':', '-');
  const write = async (path: string, text: string) => {
    await mkdir(join(folder.path, path, '..'), { recursive: true });
    await writeFile(join(folder.path, path), text);
  };
  const layer = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf('layer'), size: 5 };
  const config = { mediaType: mediaTypes.ociConfig, digest: digestOf('{}'), size: 2 };
  const image = JSON.stringify({ schemaVersion: 2, config, layers: [layer] });
  const child = { mediaType: mediaTypes.ociManifest, digest: digestOf(image), size: image.length };
  const index = JSON.stringify({ schemaVersion: 2, manifests: [child] });
  for (const text of ['layer', '{}', image, index]) {
    await write(`blobs/sha256/${digestOf(text).slice(7)}`, text);
    await write(`repositories/team/app/_blobs/${file(text)}`, digestOf(text));
  }
  await write(`repositories/team/app/_manifests/${file(index)}`, mediaTypes.ociIndex);
  await write(`repositories/team/app/_manifests/${file(image)}`, mediaTypes.ociManifest);
  await write('repositories/team/app/_tags/v1', digestOf(index));
  await write('repositories/team/app/_tags/half.tmp', 'x');

  const blobs = await openDirectoryBlobs(folder.path);
  await using meta = await openSqliteMeta(folder.path);
  for (const _ of ['once', 'again']) await importDirectory(folder.path, { blobs, meta });
  assert.deepEqual(await meta.repositories(), ['team/app']);
  assert.deepEqual(await meta.tags('team/app'), ['v1']);
  assert.equal((await meta.tag('team/app', 'v1'))?.digest, digestOf(index));
  assert.equal(Buffer.from((await meta.manifestBytes(digestOf(image))) ?? []).toString(), image);
  assert.equal(await meta.blob('team/app', digestOf('layer')), 5);
  assert.ok((await readdir(folder.path)).includes('repositories.imported'));
});

test('who waits for a sync of a folder gets one that began after', async () => {
  await using folder = await temporaryFolder();
  const sync = new FolderSync(folder.path);
  const [first, second, third] = [sync.sync(), sync.sync(), sync.sync()];
  assert.equal(second, third, 'one for all who wait');
  await first;
  const later = sync.sync();
  assert.notEqual(later, first);
  await Promise.all([second, later]);
  const gone = new FolderSync(join(folder.path, 'gone'));
  await assert.rejects(gone.sync(), { code: 'ENOENT' });
  await assert.rejects(gone.sync(), { code: 'ENOENT' }, 'a failure is for those who waited for it');
});
