/** What every MetaStore does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Digest, digestOf, mediaTypes } from '#oci';
import type { MetaStore, NewManifest } from '../meta-store.ts';

/** Days after the blobs' claims have ended. */
const lateMs = 1_000_000;

interface Clock {
  nowMs: number;
}

export function testMetaStore(
  name: string,
  open: (now: () => number) => Promise<AsyncDisposable & { store: MetaStore }>,
): void {
  const check = (what: string, body: (store: MetaStore, clock: Clock) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const clock = { nowMs: 1000 };
      await using opened = await open(() => clock.nowMs);
      await body(opened.store, clock);
    });

  check('a blob belongs to the repositories it is linked to', async (store) => {
    const digest = digestOf('blob');
    assert.equal(await store.hasRepository('a/b'), false);
    await store.linkBlob('a/b', { digest, sizeBytes: 4 }, 0);
    assert.equal(await store.hasRepository('a/b'), true);
    assert.equal(await store.blob('a/b', digest), 4);
    assert.equal(await store.blob('a', digest), undefined);
    await store.linkBlob('c', { digest, sizeBytes: 4 }, 0);
    assert.deepEqual([...(await store.holders(digest))].sort(), ['a/b', 'c']);
    assert.equal(await store.unlinkBlob('a/b', digest), true);
    assert.equal(await store.unlinkBlob('a/b', digest), false);
    assert.equal(await store.blob('a/b', digest), undefined);
    assert.deepEqual(await store.holders(digest), ['c']);
  });

  check('a manifest is put with its tags, and only when its parts are there', async (store) => {
    const lacking = manifestOf('m', { blobs: ['layer'], tags: ['v1'] });
    assert.deepEqual(await store.missing('app', lacking), [digestOf('layer')]);
    await assert.rejects(store.putManifest('app', lacking), { kind: 'failed-precondition' });
    assert.equal(await store.hasRepository('app'), false);
    await put(store, 'app', 'm', { blobs: ['layer', 'layer'], tags: ['v1', 'v2'] });
    assert.deepEqual(await store.tags('app'), ['v1', 'v2']);
    assert.equal((await store.tag('app', 'v1'))?.digest, digestOf('m'));
    const found = await store.manifest('app', digestOf('m'));
    assert.deepEqual([found?.mediaType, found?.sizeBytes], [mediaTypes.ociManifest, 1]);
    assert.equal(Buffer.from((await store.manifestBytes(digestOf('m'))) ?? []).toString(), 'm');
    assert.equal(await store.manifest('other', digestOf('m')), undefined);
    assert.equal(await store.expectedSize('app', digestOf('layer')), 5);
    const index = manifestOf('index', { children: ['m', 'absent'] });
    assert.deepEqual(await store.missing('app', index), [digestOf('absent')]);
    await put(store, 'app', 'index', { children: ['m'] });
  });

  check('tags and repositories come in pages, by bytes', async (store) => {
    await put(store, 'app', 'm', { tags: ['b', 'B', 'a', '1'] });
    await put(store, 'app/sub', 'm', {});
    assert.deepEqual(await store.tags('app'), ['1', 'B', 'a', 'b']);
    assert.deepEqual(await store.tags('app', { after: 'B', limit: 1 }), ['a']);
    assert.deepEqual(await store.tags('app', { after: 'b' }), []);
    await store.linkBlob('only-blobs', { digest: digestOf('x'), sizeBytes: 1 }, 0);
    assert.deepEqual(await store.repositories(), ['app', 'app/sub']);
    assert.deepEqual(await store.repositories({ limit: 1 }), ['app']);
    assert.deepEqual(await store.repositories({ after: 'app' }), ['app/sub']);
  });

  check('a tag moves, and says since when it is where it is', async (store, clock) => {
    await put(store, 'app', 'one', { tags: ['v'] });
    clock.nowMs = 2000;
    await put(store, 'app', 'one', { tags: ['v'] });
    assert.deepEqual(await store.tag('app', 'v'), { digest: digestOf('one'), updatedMs: 1000, checkedMs: 2000 });
    clock.nowMs = 3000;
    await put(store, 'app', 'two', { tags: ['v'] });
    assert.deepEqual(await store.tag('app', 'v'), { digest: digestOf('two'), updatedMs: 3000, checkedMs: 3000 });
    await assert.rejects(store.putTag('app', 'v', digestOf('absent')), { kind: 'failed-precondition' });
    assert.equal(await store.removeTag('app', 'v'), true);
    assert.equal(await store.removeTag('app', 'v'), false);
    assert.notEqual(await store.manifest('app', digestOf('two')), undefined);
  });

  check('referrers are listed under their subject while they are there', async (store, clock) => {
    const referrer = (text: string) => ({
      mediaType: mediaTypes.ociManifest,
      digest: digestOf(text),
      size: text.length,
    });
    for (const text of ['first', 'second']) {
      await put(store, 'app', text, { subject: { digest: digestOf('subject'), referrer: referrer(text) } });
      clock.nowMs++;
    }
    assert.deepEqual(await store.referrers('app', digestOf('subject')), [referrer('first'), referrer('second')]);
    await store.removeManifest('app', digestOf('first'));
    assert.deepEqual(await store.referrers('app', digestOf('subject')), [referrer('second')]);
    assert.deepEqual(await store.referrers('other', digestOf('subject')), []);
  });

  check('what is deleted is gone for readers at once and comes back when it is restored', async (store, clock) => {
    await put(store, 'app', 'm', { blobs: ['layer'], tags: ['v1', 'v2'] });
    await store.removeTag('app', 'v2');
    clock.nowMs = 2000;
    await store.removeManifest('app', digestOf('m'));
    assert.deepEqual([await store.tags('app'), await store.repositories()], [[], []]);
    assert.deepEqual(
      (await store.deleted()).map(({ kind, reference, deletedMs }) => [kind, reference, deletedMs]),
      [
        ['manifest', digestOf('m'), 2000],
        ['tag', 'v1', 2000],
        ['tag', 'v2', 1000],
      ],
    );
    assert.equal(await store.restore('app', 'tag', 'v2'), false, 'a tag of nothing');
    assert.equal(await store.restore('app', 'manifest', digestOf('m')), true);
    assert.deepEqual(await store.tags('app'), ['v1'], 'the tag that went before stays away');
    assert.equal(await store.restore('app', 'tag', 'v2'), true);
    await store.unlinkBlob('app', digestOf('layer'));
    assert.equal(await store.restore('app', 'blob', digestOf('layer')), true);
    assert.equal(await store.blob('app', digestOf('layer')), 5);
    assert.equal(await store.restore('app', 'blob', digestOf('layer')), false);
  });

  check('a collection takes what nothing refers to any more, after its time', async (store, clock) => {
    await put(store, 'app', 'one', { blobs: ['own', 'shared'], tags: ['one'] });
    await put(store, 'app', 'two', { blobs: ['shared'], tags: ['two'] });
    await store.removeManifest('app', digestOf('one'));
    clock.nowMs = lateMs;
    assert.deepEqual(await collect(store, { before: 999, now: lateMs }), [], 'it may still be restored');
    assert.deepEqual(await collect(store, { before: 1000, now: lateMs }), [digestOf('own')]);
    assert.equal(await store.isHeld(digestOf('own')), false);
    assert.equal(await store.isHeld(digestOf('shared')), true);
    assert.equal(await store.manifestBytes(digestOf('one')), undefined);
    assert.equal(await store.blob('app', digestOf('shared')), 6);
    assert.deepEqual(await store.deleted(), []);
    assert.equal(await store.restore('app', 'manifest', digestOf('one')), false);
    assert.deepEqual(await collect(store, { before: lateMs, now: lateMs }), []);
  });

  check('a collection leaves what a client is about to refer to', async (store) => {
    const digest = digestOf('pushed');
    await store.linkBlob('app', { digest, sizeBytes: 6 }, 5000);
    assert.deepEqual(await collect(store, { before: 0, now: 4999 }), [], 'just pushed');
    assert.deepEqual(await collect(store, { before: 0, now: 6000, expected: [digest] }), [], 'asked about');
    assert.equal(await store.blob('app', digest), 6);
    assert.deepEqual(await collect(store, { before: 0, now: 6000 }), [digest]);
    assert.equal(await store.blob('app', digest), undefined);
  });

  check('a blob that was deleted by name goes though a manifest refers to it', async (store) => {
    await put(store, 'app', 'm', { blobs: ['layer'], tags: ['v'] });
    await store.unlinkBlob('app', digestOf('layer'));
    assert.deepEqual(await collect(store, { before: 999, now: lateMs }), []);
    assert.deepEqual(await collect(store, { before: 1000, now: lateMs }), [digestOf('layer')]);
  });

  check('a damaged blob says whom it hurts', async (store) => {
    await put(store, 'app', 'm', { blobs: ['layer'], tags: ['v2', 'v1'] });
    await put(store, 'b', 'n', { blobs: ['layer'] });
    assert.deepEqual(await store.affected(digestOf('layer')), [
      { repository: 'app', manifest: digestOf('m'), tags: ['v1', 'v2'] },
      { repository: 'b', manifest: digestOf('n'), tags: [] },
    ]);
    assert.deepEqual(await store.affected(digestOf('nothing')), []);
  });

  check('repositories are found by parts of words in name, description and labels', async (store) => {
    for (const name of ['library/nginx', 'team/nginx-extra', 'team/other', 'nginx']) await put(store, name, 'm', {});
    await store.linkBlob('no-manifest/nginx', { digest: digestOf('x'), sizeBytes: 1 }, 0);
    await store.describe('team/other', { description: 'Like NGINX, 100% other' });
    await store.describeByImage('team/nginx-extra', { labels: 'vendor=Acme' });
    const find = async (...words: string[]) =>
      (await store.search({ words, offset: 0, limit: 10 })).entries.map(({ name }) => name);
    assert.deepEqual(await find('nginx'), ['library/nginx', 'nginx', 'team/nginx-extra', 'team/other']);
    assert.deepEqual(await find('ginx', 'acme'), ['team/nginx-extra']);
    assert.deepEqual(await find('0%'), ['team/other']);
    assert.deepEqual(await find('"nginx" OR'), []);
    assert.deepEqual(await find('ng', 'extra'), ['team/nginx-extra']);
    assert.equal((await find()).length, 4);
    const page = await store.search({ words: ['nginx'], offset: 1, limit: 2 });
    assert.deepEqual([page.total, page.entries.map(({ name }) => name)], [4, ['nginx', 'team/nginx-extra']]);
    const isVisible = (name: string) => name.startsWith('team/');
    const some = await store.search({ words: ['nginx'], offset: 0, limit: 1, isVisible });
    assert.deepEqual([some.total, some.entries.map(({ name }) => name)], [2, ['team/nginx-extra']]);
  });

  check('what was not pulled for long is found, page by page', async (store, clock) => {
    for (const name of ['a', 'b', 'c']) await put(store, name, 'm', {});
    const digest = digestOf('m');
    clock.nowMs += 1000;
    const beforeMs = clock.nowMs;
    assert.equal((await store.unused({ beforeMs: beforeMs - 1000, limit: 9 })).length, 0, 'all are too young');
    await store.noteUse(new Map([['b', new Set([digest])]]));
    const first = await store.unused({ beforeMs, limit: 1 });
    assert.deepEqual(first, [{ repository: 'a', digest, usedMs: beforeMs - 1000 }]);
    const rest = await store.unused({ beforeMs, limit: 9, after: first[0] });
    assert.deepEqual(
      rest.map(({ repository }) => repository),
      ['c'],
    );
    assert.equal((await store.unused({ beforeMs: beforeMs + 1, limit: 9 })).length, 3);
    await store.removeManifest('c', digest);
    assert.equal((await store.unused({ beforeMs: beforeMs + 1, limit: 9 })).length, 2);
  });

  check('what manifests take is told blob by blob, page by page', async (store, clock) => {
    const [small, large] = ['small', 'l'.repeat(1000)];
    const firstMs = clock.nowMs;
    await put(store, 'a', 'm', { blobs: [small, large] });
    clock.nowMs += 500;
    await put(store, 'b', 'n', { blobs: [small] });
    const one = (repository: string, text: string, blob: string, usedMs: number) => ({
      ...{ repository, manifest: digestOf(text), digest: digestOf(blob), sizeBytes: blob.length, usedMs },
    });
    const ofA = [one('a', 'm', small, firstMs), one('a', 'm', large, firstMs)];
    ofA.sort((left, right) => (left.digest < right.digest ? -1 : 1));
    const first = await store.occupancy({ limit: 1 });
    assert.deepEqual(first, ofA.slice(0, 1));
    const rest = [...ofA.slice(1), one('b', 'n', small, firstMs + 500)];
    assert.deepEqual(await store.occupancy({ limit: 9, after: first[0] }), rest);
    await store.unlinkBlob('a', digestOf(large));
    await store.removeManifest('b', digestOf('n'));
    assert.deepEqual(
      (await store.occupancy({ limit: 9 })).map(({ digest }) => digest),
      [digestOf(small)],
    );
  });

  check('stars are one per user, and rank', async (store) => {
    for (const name of ['a', 'b', 'c']) await put(store, name, 'm', {});
    assert.equal(await store.star('b', 'ada', true), true);
    assert.equal(await store.star('b', 'ada', true), true);
    assert.equal(await store.star('absent', 'ada', true), false);
    await store.addPulls(
      new Map([
        ['c', 3],
        ['absent', 1],
      ]),
    );
    const { entries } = await store.search({ words: [], offset: 0, limit: 10 });
    assert.deepEqual(
      entries.map(({ name, stars, pulls }) => [name, stars, pulls]),
      [
        ['b', 1, 0],
        ['c', 0, 3],
        ['a', 0, 0],
      ],
    );
    assert.deepEqual([await store.isStarred('b', 'ada'), await store.isStarred('b', 'bob')], [true, false]);
    await store.star('b', 'ada', false);
    assert.equal((await store.entry('b'))?.stars, 0);
  });

  check('what somebody wrote counts for more than what an image says', async (store) => {
    await put(store, 'a', 'm', {});
    await store.describeByImage('a', { description: 'first', readme: 'long', labels: 'x=1' });
    const words = async () => {
      const entry = await store.entry('a');
      return [entry?.description, entry?.readme];
    };
    assert.deepEqual(await words(), ['first', 'long']);
    await store.describeByImage('a', { description: 'second', labels: 'x=1' });
    assert.deepEqual(await words(), ['second', 'long']);
    assert.equal(await store.describe('a', { description: 'mine' }), true);
    await store.describeByImage('a', { description: 'third', readme: 'third', labels: 'x=2' });
    assert.deepEqual(await words(), ['mine', 'long']);
    assert.equal(await store.describe('absent', { description: 'x' }), false);
    assert.equal(await store.entry('absent'), undefined);
  });

  check('the first value of a setting stays', async (store) => {
    assert.equal(await store.keepSetting('key', 'one'), 'one');
    assert.equal(await store.keepSetting('key', 'two'), 'one');
  });

  check('a message is due until it has been taken', async (store, clock) => {
    await store.addDeliveries([
      { url: 'http://a', body: 'one' },
      { url: 'http://b', body: 'two' },
    ]);
    const due = async () => (await store.dueDeliveries(clock.nowMs, 10)).map(({ body, tries }) => [body, tries]);
    assert.deepEqual(await due(), [
      ['one', 0],
      ['two', 0],
    ]);
    const [first, second] = await store.dueDeliveries(clock.nowMs, 10);
    await store.postponeDelivery(first!.id, 5000);
    await store.endDelivery(second!.id);
    assert.deepEqual(await due(), []);
    clock.nowMs = 5000;
    assert.deepEqual(await due(), [['one', 1]]);
  });

  check('the blobs that repositories have are listed in pages', async (store) => {
    const digests = ['a', 'b', 'c'].map((text) => digestOf(text)).sort();
    for (const digest of [...digests].reverse()) {
      for (const name of ['x', 'y']) await store.linkBlob(name, { digest, sizeBytes: 1 }, 0);
    }
    assert.deepEqual(await store.heldBlobs({ limit: 2 }), digests.slice(0, 2));
    assert.deepEqual(await store.heldBlobs({ after: digests[1], limit: 2 }), digests.slice(2));
  });

  check('many writers at once lose nothing', async (store) => {
    const texts = Array.from({ length: 200 }, (_, at) => `m${at}`);
    await Promise.all(texts.map((text) => put(store, 'app', text, { blobs: ['layer', text], tags: [text] })));
    assert.equal((await store.tags('app')).length, 200);
    for (const text of texts) assert.equal((await store.tag('app', text))?.digest, digestOf(text));
  });
}

type Parts = { blobs?: string[]; children?: string[]; tags?: string[]; subject?: NewManifest['subject'] };

function manifestOf(text: string, parts: Parts): NewManifest {
  return {
    digest: digestOf(text),
    mediaType: mediaTypes.ociManifest,
    bytes: Buffer.from(text),
    blobs: (parts.blobs ?? []).map((blob) => digestOf(blob)),
    children: (parts.children ?? []).map((child) => digestOf(child)),
    subject: parts.subject,
    tags: parts.tags ?? [],
  };
}

/** With the blobs it refers to, whose claims end at once. */
async function put(store: MetaStore, name: string, text: string, parts: Parts): Promise<void> {
  for (const blob of parts.blobs ?? []) {
    await store.linkBlob(name, { digest: digestOf(blob), sizeBytes: blob.length }, 0);
  }
  await store.putManifest(name, manifestOf(text, parts));
}

async function collect(
  store: MetaStore,
  { before, now, expected = [] }: { before: number; now: number; expected?: readonly Digest[] },
): Promise<readonly Digest[]> {
  return await store.collect({
    deletedBeforeMs: before,
    nowMs: now,
    isExpected: (_, digest) => expected.includes(digest),
  });
}
