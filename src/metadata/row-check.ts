import { type Row, text } from '#sqlite';
import { readAll } from '#streams';
import type { StoreContext } from './store-context.ts';
import type { ImageRecord } from './types.ts';

const tables = [
  ['images', 'id', 'image'],
  ['containers', 'id', 'container'],
  ['volumes', 'id', 'volume'],
  ['networks', 'id', 'network'],
  ['build_cache', 'key', 'build cache record'],
] as const;

/** Rows whose text is no JSON any more: SQLite looks at pages, not at what is in them. */
export function* damagedRows({ reader }: StoreContext): Generator<string> {
  for (const [table, key, subject] of tables) {
    for (const row of reader.all(`SELECT ${key} AS key, body FROM ${table}`)) {
      if (!isJson(row)) yield `database: the row of ${subject} ${text(row, 'key')} is damaged`;
    }
  }
}

function isJson(row: Row): boolean {
  try {
    JSON.parse(text(row, 'body'));
    return true;
  } catch {
    return false;
  }
}

/** No config comes near this. */
const maxConfigBytes = 8 << 20;

/** What an image's row says against its config, whose bytes are known by their digest. */
export async function* imageRowFaults({ content }: StoreContext, image: ImageRecord): AsyncGenerator<string> {
  const layers = await configLayers(content, image);
  if (layers !== undefined && layers.join() !== image.diffIDs.join())
    yield `database: the row of image ${image.id} names other layers than its config`;
}

/** Undefined where the config itself is damaged or missing, which is told elsewhere. */
async function configLayers(
  content: StoreContext['content'],
  { id }: ImageRecord,
): Promise<readonly string[] | undefined> {
  try {
    const config = JSON.parse((await readAll(content.open(id), maxConfigBytes, 'config')).toString()) as {
      rootfs?: { diff_ids?: readonly string[] };
    };
    return config.rootfs?.diff_ids;
  } catch {
    return undefined;
  }
}
