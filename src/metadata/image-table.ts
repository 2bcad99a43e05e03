import { chainIDs, type Descriptor, type DiffID, type Digest } from '#oci';
import { type Connection, integer, optionalInteger, optionalText, type Row, text } from '#sqlite';
import { RecordCache } from './record-cache.ts';
import { lockDigests, type StoreContext, vouchForBlobs } from './store-context.ts';
import type {
  ExpectedImage,
  ImageRecord,
  ImageTable,
  Keeping,
  NewImage,
  PutOptions,
  RemoveImageOutcome,
} from './types.ts';
import type { ImageBody } from './writes/images.ts';

const columns = 'id, body, parent, stored_ms, last_tagged_ms';

export class SqliteImageTable implements ImageTable {
  readonly #context: StoreContext;
  readonly #reader: Connection;
  readonly #cache: RecordCache<ImageRecord>;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#reader = context.reader;
    this.#cache = new RecordCache({
      loadOne: (id) => loadOne(context.reader, id),
      loadAll: () => loadAll(context.reader),
    });
  }

  get(id: Digest): ImageRecord | undefined {
    return this.#cache.get(id);
  }

  byName(name: string): ImageRecord | undefined {
    return this.#first('SELECT image_id AS id FROM names WHERE name = ?', name);
  }

  byTarget(digest: Digest): ImageRecord | undefined {
    return this.#first(
      'SELECT image_id AS id FROM image_targets WHERE digest = ? ORDER BY set_number DESC LIMIT 1',
      digest,
    );
  }

  members(target: Digest): readonly ImageRecord[] {
    const rows = this.#reader.all(
      `SELECT id FROM image_targets JOIN images ON images.id = image_id WHERE digest = ? ORDER BY number`,
      target,
    );
    return rows.flatMap((row) => this.#cache.get(text(row, 'id')) ?? []);
  }

  byRepoDigest(name: string): ImageRecord | undefined {
    return this.#first(
      `SELECT repo_digests.image_id AS id FROM repo_digests JOIN images ON images.id = image_id
       WHERE name = ? ORDER BY stored_ms DESC, number DESC LIMIT 1`,
      name,
    );
  }

  byPrefix(hexPrefix: string): readonly ImageRecord[] {
    const rows = this.#reader.all(
      `SELECT id FROM images WHERE (id >= 'sha256:' || ?1 AND id < 'sha256:' || ?1 || '~')
         OR (id >= 'sha512:' || ?1 AND id < 'sha512:' || ?1 || '~') LIMIT 2`,
      hexPrefix,
    );
    return rows.flatMap((row) => this.#cache.get(text(row, 'id')) ?? []);
  }

  list(): readonly ImageRecord[] {
    return this.#cache.all();
  }

  childrenOf(id: Digest): readonly Digest[] {
    return this.#reader
      .all('SELECT id FROM images WHERE parent = ? ORDER BY number', id)
      .map((row) => text(row, 'id') as Digest);
  }

  async put(
    image: NewImage,
    names: readonly string[] = [],
    repoDigests: readonly string[] = [],
    { keep, holder }: PutOptions = {},
  ): Promise<void> {
    // What is below a chain in use is there and stays: the write looks again.
    const below = new Set<Digest>(this.#layersInUse(image.diffIDs));
    const references = image.references.filter((digest) => !below.has(digest));
    using _held = await lockDigests(this.#context.digests, references);
    const newBlobs = await vouchForBlobs(this.#context, references);
    const nowMs = this.#context.nowMs();
    const put = { image, names, repoDigests, newBlobs, nowMs, keep, holder };
    this.#cache.changed(await this.#context.writer.run('images.put', put));
  }

  async tag(id: Digest, name: string, keep?: Keeping, target?: Descriptor): Promise<Digest | undefined> {
    const nowMs = this.#context.nowMs();
    const changed = await this.#context.writer.run('images.tag', { id, name, nowMs, keep, target });
    this.#cache.changed(changed);
    return changed[1];
  }

  async untag(id: Digest, names: readonly string[], keep?: Keeping): Promise<void> {
    this.#cache.changed(await this.#context.writer.run('images.untag', { id, names, keep }));
  }

  async addRepoDigest(id: Digest, name: string): Promise<void> {
    this.#cache.changed(await this.#context.writer.run('images.addRepoDigest', { id, name }));
  }

  retained(): readonly { imageID: Digest; digest: Digest }[] {
    return this.#reader
      .all(
        `SELECT DISTINCT image_id, digest FROM image_blobs JOIN origins ON compressed = digest
         WHERE digest NOT IN (SELECT diff_id FROM layers) ORDER BY image_id, digest`,
      )
      .map((row) => ({ imageID: text(row, 'image_id') as Digest, digest: text(row, 'digest') as Digest }));
  }

  async keepBlobs(id: Digest, digests: readonly Digest[]): Promise<void> {
    using _held = await lockDigests(this.#context.digests, digests);
    const newBlobs = await vouchForBlobs(this.#context, digests);
    await this.#context.writer.run('images.keepBlobs', { id, digests, newBlobs, nowMs: this.#context.nowMs() });
  }

  async addIndex(id: Digest, index: Digest): Promise<void> {
    using _held = await lockDigests(this.#context.digests, [index]);
    const newBlobs = await vouchForBlobs(this.#context, [index]);
    const write = { id, index, newBlobs, nowMs: this.#context.nowMs() };
    this.#cache.changed(await this.#context.writer.run('images.addIndex', write));
  }

  async setByTheWay(id: Digest, isByTheWay: boolean): Promise<void> {
    if ((this.get(id)?.isByTheWay ?? false) === isByTheWay) return;
    this.#cache.changed(await this.#context.writer.run('images.setByTheWay', { id, isByTheWay }));
  }

  async releaseBlobs(id: Digest, digests: readonly Digest[]): Promise<void> {
    await this.#context.writer.run('images.releaseBlobs', { id, digests });
  }

  async remove(id: Digest, expected?: ExpectedImage, keep?: Keeping): Promise<RemoveImageOutcome> {
    const outcome = await this.#context.writer.run('images.remove', { id, expected, keep });
    this.#cache.changed([id]);
    return outcome;
  }

  /** Records came back, each to its own place in the order. */
  reload(): void {
    this.#cache.reload();
  }

  #layersInUse(diffIDs: readonly DiffID[]): readonly DiffID[] {
    const sql = 'SELECT 1 FROM chains WHERE chain_id = ? AND uses > 0';
    return diffIDs.slice(0, chainIDs(diffIDs).findLastIndex((chain) => this.#reader.get(sql, chain)) + 1);
  }

  #first(sql: string, value: string): ImageRecord | undefined {
    const row = this.#reader.get(sql, value);
    return row && this.#cache.get(text(row, 'id'));
  }
}

/** What stands about an image in other tables than its own. */
interface Around {
  readonly names: readonly Row[];
  readonly repoDigests: readonly Row[];
  readonly targets: readonly Row[];
}

function loadOne(reader: Connection, id: string): ImageRecord | undefined {
  const row = reader.get(`SELECT ${columns} FROM images WHERE id = ?`, id);
  if (!row) return undefined;
  return decode(row, {
    names: reader.all('SELECT name, target FROM names WHERE image_id = ? ORDER BY name', id),
    repoDigests: reader.all('SELECT name FROM repo_digests WHERE image_id = ? ORDER BY name', id),
    targets: reader.all('SELECT digest FROM image_targets WHERE image_id = ? ORDER BY digest', id),
  });
}

function* loadAll(reader: Connection): Generator<readonly [string, ImageRecord]> {
  const names = grouped(reader.all('SELECT image_id, name, target FROM names ORDER BY name'));
  const digests = grouped(reader.all('SELECT image_id, name FROM repo_digests ORDER BY name'));
  const targets = grouped(reader.all('SELECT image_id, digest FROM image_targets ORDER BY digest'));
  for (const row of reader.all(`SELECT ${columns} FROM images ORDER BY number`)) {
    const id = text(row, 'id');
    const of = (groups: Map<string, Row[]>) => groups.get(id) ?? [];
    yield [id, decode(row, { names: of(names), repoDigests: of(digests), targets: of(targets) })];
  }
}

function nameOf(row: Row): string {
  return text(row, 'name');
}

function grouped(rows: readonly Row[]): Map<string, Row[]> {
  return rows.reduce((groups, row) => {
    const id = text(row, 'image_id');
    const group = groups.get(id);
    if (group) group.push(row);
    else groups.set(id, [row]);
    return groups;
  }, new Map<string, Row[]>());
}

function decode(row: Row, { names, repoDigests, targets }: Around): ImageRecord {
  const parent = optionalText(row, 'parent') as Digest | undefined;
  const lastTaggedMs = optionalInteger(row, 'last_tagged_ms');
  return {
    id: text(row, 'id') as Digest,
    ...(JSON.parse(text(row, 'body')) as ImageBody),
    ...(parent === undefined ? {} : { parent }),
    storedMs: integer(row, 'stored_ms'),
    ...(lastTaggedMs === undefined ? {} : { lastTaggedMs }),
    names: names.map(nameOf),
    nameTargets: Object.fromEntries(names.flatMap(targetOfName)),
    repoDigests: repoDigests.map(nameOf),
    targets: targets.map((target) => text(target, 'digest') as Digest),
  };
}

function targetOfName(row: Row): [string, Descriptor][] {
  const target = optionalText(row, 'target');
  return target === undefined ? [] : [[nameOf(row), JSON.parse(target) as Descriptor]];
}
