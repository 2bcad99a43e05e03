import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { readTar } from '#archive';
import { formatDeltaHeader, formatLayerList, parseDeltaHeader } from '#delta';
import { type ErrorKind, isKind } from '#errdefs';
import { type Digest, digestOf } from '#oci';
import { fromBytes, readAll } from '#streams';
import { type DeltaBase, layersHere } from './delta-base.ts';
import { loadImages } from './load.ts';
import { saveImages } from './save.ts';
import { saveDelta } from './save-delta.ts';
import {
  configFor,
  inPieces,
  oldArchive,
  randomLayer,
  type TransferFixture,
  tarOf,
  transferFixture,
} from './testsuite-load.ts';

const load = ({ stores }: TransferFixture, archive: Buffer) => loadImages(stores, inPieces(archive));
const save = ({ stores }: TransferFixture, ...names: readonly string[]) => readAll(saveImages(stores, names), 1 << 30);
const delta = ({ stores }: TransferFixture, since: DeltaBase, ...names: readonly string[]) =>
  readAll(saveDelta(stores, names, since), 1 << 30);
const put = async (to: TransferFixture, tag: string, ...layers: readonly Buffer[]) =>
  void (await load(to, await oldArchive(layers, [tag])));

const content = randomBytes(1 << 20);
const edited = (at: number) =>
  Buffer.concat([content.subarray(0, at), Buffer.from('edited here'), content.subarray(at)]);
const below = await randomLayer(100_000);
const before = await tarOf(['etc/app', 'v1'], ['data', content]);
const after = await tarOf(['etc/app', 'version 2'], ['data', edited(300_000)]);
const last = await tarOf(['other', edited(600_000)]);

/** One side with both versions, another with the first. */
async function withSides(work: (here: TransferFixture, there: TransferFixture) => Promise<void>): Promise<void> {
  await using here = await transferFixture();
  await using there = await transferFixture();
  for (const side of [here, there]) await put(side, 'app:1', below, before);
  await put(here, 'app:2', below, after, last);
  await work(here, there);
}

interface Member {
  readonly path: string;
  readonly body: Buffer;
}

async function membersOf(archive: Buffer): Promise<Member[]> {
  const found: Member[] = [];
  for await (const { path, type, body } of readTar(fromBytes(archive)))
    if (type === 'file') found.push({ path, body: await readAll(body, 1 << 30) });
  return found;
}

const archiveOf = (members: readonly Member[]) => tarOf(...members.map(({ path, body }) => [path, body] as const));

async function refused(
  side: TransferFixture,
  archive: Buffer,
  message: RegExp,
  kind: ErrorKind = 'invalid-argument',
): Promise<void> {
  const kept = (await side.contents()).sort();
  await assert.rejects(
    load(side, archive),
    (error: Error) => isKind(error, kind) && (message.test(error.message) || assert.fail(error.message)),
  );
  assert.deepEqual((await side.contents()).sort(), kept, 'nothing is left behind');
  assert.equal(side.metadata.images.byName('docker.io/library/app:2'), undefined);
}

test('what changed since an image, or since a list from the other side, gives the same image there', () =>
  withSides(async (here, there) => {
    const list = formatLayerList(await layersHere(there.stores, []));
    const changed = await delta(here, { images: ['app:1'] }, 'app:2');
    const byList = await delta(here, { list }, 'app:2');
    assert.ok(changed.length < 30_000, `${changed.length} bytes`);
    assert.ok(Math.abs(byList.length - changed.length) < 2000);
    assert.deepEqual(await delta(here, { images: ['app:1'] }, 'app:2'), changed, 'the same bytes each time');
    for (const archive of [changed, byList]) {
      await load(there, archive);
      assert.deepEqual(await save(there, 'app:2'), await save(here, 'app:2'));
      assert.deepEqual(await there.verify(), []);
      await there.metadata.images.remove(digestOf(configFor([below, after, last])));
      await there.metadata.collect();
    }
  }));

test('nothing is sent of an image that is there but its documents, and all of one that has nothing in common', () =>
  withSides(async (here, there) => {
    const none = await delta(here, { images: ['app:2'] }, 'app:2');
    assert.ok(none.length < 12_000, `${none.length} bytes`);
    await using empty = await transferFixture();
    const whole = await delta(here, { list: formatLayerList([]) }, 'app:2');
    await load(empty, whole);
    assert.deepEqual(await save(empty, 'app:2'), await save(here, 'app:2'));
    await refused(
      there,
      none,
      /saved since app:2; not here: layer sha256:\S+ \(\d+ bytes\), sha256:\S+ \(\d+ bytes\)$/,
      'not-found',
    );
  }));

test('a list names layers that only the other side has', () =>
  withSides(async (here, there) => {
    const list = formatLayerList([
      { digest: digestOf('elsewhere'), sizeBytes: 5 },
      ...(await layersHere(there.stores, ['app:1'])),
    ]);
    await load(there, await delta(here, { list }, 'app:2'));
    assert.deepEqual(await save(there, 'app:2'), await save(here, 'app:2'));
  }));

test('a base that is missing is named, be it a whole layer or one that is copied from', () =>
  withSides(async (here) => {
    const archive = await delta(here, { images: ['app:1'] }, 'app:2');
    await using empty = await transferFixture();
    await refused(
      empty,
      archive,
      new RegExp(`^load delta: it was saved since app:1; not here: layer ${digestOf(below)} `),
      'not-found',
    );
    await put(empty, 'below:1', below);
    await refused(
      empty,
      archive,
      new RegExp(`base layer ${digestOf(before)}, which it copies from, is not here`),
      'not-found',
    );
  }));

test('a cut archive says so, wherever it is cut; what came whole is gone on from', () =>
  withSides(async (here, there) => {
    const archive = await delta(here, { images: ['app:1'] }, 'app:2');
    const members = await membersOf(archive);
    const secondLayer = members.findLastIndex(({ path }) => path.startsWith('delta/'));
    const first = parseDeltaHeader(members[0]!.body).layers[0]!.digest;
    const cut = await archiveOf(members.slice(0, secondLayer));
    const kept = /load delta: the archive is cut: 1 of its 2 layers came whole and is kept for a day; load the whole/;
    await assert.rejects(load(there, cut), kept);
    assert.ok((await there.contents()).includes(first), 'kept');
    await there.metadata.collect();
    assert.ok((await there.contents()).includes(first), 'and not collected');
    // Without what the first layer copies from: it need not be made again.
    const withoutFirst = members.filter(({ path }) => !path.includes(first.slice(7)));
    await load(there, await archiveOf(withoutFirst));
    assert.deepEqual(await save(there, 'app:2'), await save(here, 'app:2'));
    assert.deepEqual(await there.verify(), []);
    for (const at of [600, archive.length >> 2, archive.length >> 1, archive.length - 6000]) {
      await using other = await transferFixture();
      await put(other, 'app:1', below, before);
      await assert.rejects(load(other, archive.subarray(0, at)), /load delta: the archive is cut|unexpected EOF/);
      await load(other, archive);
      assert.deepEqual(await save(other, 'app:2'), await save(here, 'app:2'));
    }
  }));

test('a wrong byte anywhere is noticed, and nothing is left', () =>
  withSides(async (here, there) => {
    const members = await membersOf(await delta(here, { images: ['app:1'] }, 'app:2'));
    const at = members.findIndex(({ path }) => path.startsWith('delta/'));
    const change = (body: Buffer) => members.map((member, index) => (index === at ? { ...member, body } : member));
    const flipped = Buffer.from(members[at]!.body);
    flipped[flipped.length >> 1]! ^= 1;
    await refused(there, await archiveOf(change(flipped)), /its bytes do not have that digest/, 'data-loss');
    await writeFile(there.content.path(digestOf(before)), Buffer.from(before).fill(1, 500_000, 500_001));
    await refused(
      there,
      await archiveOf(members),
      new RegExp(`come out wrong; it copies from .*${digestOf(before)}`),
      'data-loss',
    );
  }));

test('pieces and headers that lie are refused, and nothing is left', () =>
  withSides(async (here, there) => {
    const members = await membersOf(await delta(here, { images: ['app:1'] }, 'app:2'));
    const header = parseDeltaHeader(members[0]!.body);
    const [first, ...rest] = members;
    const pieces = rest.filter(({ path }) => path.startsWith('delta/'));
    const others = rest.filter(({ path }) => !path.startsWith('delta/'));
    const withHeader = (change: object, list: readonly Member[] = rest) =>
      archiveOf([{ ...first!, body: Buffer.from(formatDeltaHeader({ ...header, ...change })) }, ...list]);
    const sized = (change: number) =>
      header.layers.map(({ digest, sizeBytes }) => ({ digest, sizeBytes: sizeBytes + change }));
    await refused(there, await withHeader({ layers: sized(-1) }), /gets more than its \d+ bytes/);
    await refused(
      there,
      await withHeader({ layers: sized(1) }),
      /does not follow the piece before it|the archive is cut/,
    );
    await refused(there, await withHeader({ layers: [] }), /is no piece of a layer its header lists/);
    await refused(there, await withHeader({ bases: [] }), /there is no base 0/);
    const wrong = digestOf('another') as Digest;
    const renamed = pieces.map((piece) => ({
      ...piece,
      path: piece.path.replace(header.layers[0]!.digest.slice(7), wrong.slice(7)),
    }));
    const lying = [{ digest: wrong, sizeBytes: header.layers[0]!.sizeBytes }, header.layers[1]!];
    await refused(there, await withHeader({ layers: lying }, [...renamed, ...others]), /digest .* want/, 'data-loss');
    await refused(
      there,
      await withHeader({}, [pieces[0]!, pieces[0]!, ...rest]),
      /does not follow the piece before it/,
    );
    await refused(there, await withHeader({}, [{ ...pieces[0]!, path: 'delta/x' }]), /delta\/x is no piece/);
    const huge = { ...pieces[0]!, body: Buffer.alloc(5 << 20) };
    await refused(there, await withHeader({}, [huge]), /larger than \d+ bytes/, 'out-of-range');
    await refused(there, await archiveOf([...rest.slice(0, 1), first!]), /./);
  }));

test('a base that is removed while a delta is saved or loaded stays as long as that lasts', () =>
  withSides(async (here, there) => {
    const remove = async (side: TransferFixture) => {
      await side.metadata.images.remove(digestOf(configFor([below, before])));
      await side.metadata.collect();
    };
    const parts: Uint8Array[] = [];
    for await (const chunk of saveDelta(here.stores, ['app:2'], { images: ['app:1'] })) {
      if (parts.length === 0) await remove(here);
      parts.push(chunk);
    }
    const archive = Buffer.concat(parts);
    const source = (async function* () {
      yield archive.subarray(0, 2000);
      await remove(there);
      yield archive.subarray(2000);
    })();
    await loadImages(there.stores, source);
    assert.deepEqual(await save(there, 'app:2'), await save(here, 'app:2'));
    for (const side of [here, there]) {
      await side.metadata.collect();
      assert.ok(!(await side.contents()).includes(digestOf(before)), 'and goes afterwards');
    }
  }));
