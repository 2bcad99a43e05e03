/** Images through the real drivers: load, mount, save, remove. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type PackEntry, packTar } from '#archive';
import { openContentStore } from '#content';
import { createLayerIngester } from '#diff';
import { openMetadata } from '#metadata';
import { type DiffID, digestOf, hostPlatform } from '#oci';
import { chooseDriver, type DriverOptions, layerIndexPath, openVfs } from '#snapshots';
import { fromBytes, readAll } from '#streams';
import { requireRoot, temporaryFolder } from '#testing';
import { loadImages, saveImages } from '#transfer';

type Packed = { entry: PackEntry; body?: Uint8Array };

const file = (path: string, text: string, mode = 0o644): Packed => ({
  entry: { type: 'file', path, mode, sizeBytes: Buffer.byteLength(text) },
  body: Buffer.from(text),
});
const folder = (path: string, mode = 0o755): Packed => ({ entry: { type: 'directory', path, mode } });
const tar = (...items: readonly Packed[]) => readAll(packTar(items), 1 << 24);

/** Two layers: the second has an implied parent, a whiteout and a hardlink into the first. */
async function archive(): Promise<Buffer> {
  const layers = [
    await tar(folder('etc', 0o700), file('etc/name', 'base'), file('etc/gone', 'x'), file('tool', '#!', 0o4755)),
    await tar(file('etc/new', 'added'), file('etc/.wh.gone', ''), {
      entry: { type: 'hardlink', path: 'link', linkPath: 'tool' },
    }),
  ];
  const config = JSON.stringify({
    ...hostPlatform(),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
  });
  return tar(
    file('c.json', config),
    ...layers.map(
      (layer, index): Packed => ({
        entry: { type: 'file', path: `${index}.tar`, sizeBytes: layer.length },
        body: layer,
      }),
    ),
    file('manifest.json', JSON.stringify([{ Config: 'c.json', RepoTags: ['x:1'], Layers: ['0.tar', '1.tar'] }])),
  );
}

const drivers = {
  chosen: async (options: DriverOptions) => (await chooseDriver(options)).driver,
  vfs: (options: DriverOptions) => openVfs(options),
};

for (const [name, open] of Object.entries(drivers)) {
  test(`load, mount, save and remove over the ${name} driver`, async (t) => {
    if (!requireRoot(t)) return;
    await using temporary = await temporaryFolder();
    const [root, runRoot] = [join(temporary.path, 'root'), join(temporary.path, 'run')];
    await mkdir(runRoot);
    const content = await openContentStore({ root: join(root, 'content') });
    await using driver = await open({ root, runRoot, contentPath: (diffID) => content.path(diffID) });
    await using metadata = await openMetadata({ root, content, driver });
    const index = driver.name === 'erofs' ? { path: (diffID: DiffID) => layerIndexPath(root, diffID) } : undefined;
    await using layers = createLayerIngester({ content, ...(index ? { index } : {}) });
    const stores = { content, metadata, layers, snapshots: driver, platform: hostPlatform() };
    const verify = () => Array.fromAsync(metadata.verify());

    const before = await filesBelow(root);
    const [loaded] = await loadImages(stores, fromBytes(await archive()));
    assert.deepEqual(await verify(), []);
    const { diffIDs } = metadata.images.get(loaded!.id)!;
    await driver.prepare('one', diffIDs);
    const mounted = await driver.mount('one');
    assert.equal(await readFile(join(mounted.root, 'etc/new'), 'utf8'), 'added');
    assert.deepEqual((await readdir(join(mounted.root, 'etc'))).sort(), ['name', 'new']);
    assert.equal((await stat(join(mounted.root, 'etc'))).mode & 0o7777, 0o700);
    assert.equal((await stat(join(mounted.root, 'link'))).ino, (await stat(join(mounted.root, 'tool'))).ino);
    await driver.unmount('one');
    await driver.remove('one');

    const saved = await readAll(saveImages(stores, ['x:1']), 1 << 24);
    await metadata.images.remove(loaded!.id);
    assert.equal((await metadata.collect()).layers.length, 2);
    await freed(root);
    assert.deepEqual(await filesBelow(root), before);
    assert.deepEqual((await loadImages(stores, fromBytes(saved)))[0], loaded);
    assert.deepEqual(await verify(), []);
  });
}

/** Blocks of what is removed are freed in the background. */
async function freed(root: string): Promise<void> {
  while ((await readdir(join(root, 'content/removed'))).length > 0) await wait(20);
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('wherry.db'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
