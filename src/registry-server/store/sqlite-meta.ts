import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection, text } from '#sqlite';
import type { MetaStore } from './meta-store.ts';
import { MetaWriter } from './meta-writer.ts';
import { collectionOf } from './sqlite/collection.ts';
import { deliveriesOf } from './sqlite/deliveries.ts';
import { hubOf } from './sqlite/hub.ts';
import { blobLinksOf, catalogOf } from './sqlite/links.ts';
import { manifestsOf } from './sqlite/manifests.ts';
import { statement } from './sqlite/tables.ts';
import { tagsOf } from './sqlite/tags.ts';

/**
 * `registry.db` in a folder: WAL, one thread that writes (transactions that wait are committed together), readers that do not wait for it.
 * @throws `failed-precondition` when a newer program made it.
 */
export async function openSqliteMeta(root: string, options: { now?: () => number } = {}): Promise<MetaStore> {
  await mkdir(root, { recursive: true });
  const path = join(root, 'registry.db');
  const writer = await MetaWriter.open(path);
  const reader = new Connection(path, { readOnly: true });
  const tables = { reader, writer, now: options.now ?? Date.now };
  return {
    ...catalogOf(tables),
    ...blobLinksOf(tables),
    ...manifestsOf(tables),
    ...tagsOf(tables),
    ...collectionOf(tables),
    ...hubOf(tables),
    ...deliveriesOf(tables),
    async keepSetting(key, value) {
      await writer.run([statement('INSERT OR IGNORE INTO settings (key, value) VALUES (?, ?)', key, value)]);
      return text(reader.get('SELECT value FROM settings WHERE key = ?', key)!, 'value');
    },
    async [Symbol.asyncDispose]() {
      reader.close();
      await writer[Symbol.asyncDispose]();
    },
  };
}
