import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { ListedContext } from '#api-types';
import { packTar } from '#archive';
import { encodeListing, fileEnd, fileHead, type ListedEntry } from '#context-listing';
import { isKind } from '#errdefs';
import { type FilePart, fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { type BuildContext, ContextTree, toBytes } from '../executor/index.ts';
import { ContextMemory } from './context-memory.ts';
import { ListedTree } from './listed-tree.ts';

const signal = new AbortController().signal;
const nowMs = 1_700_000_000_000;
const ns = (ms: number) => `${ms}000000`;

interface Source {
  readonly entry: ListedEntry;
  text?: string;
  /** It turned into this after it was listed. */
  changedTo?: string;
}

const times = { mtimeSec: 1_600_000_000, mode: 0o644 };

/** `changedMs`: ctime, which decides. */
function file(path: string, text: string, { inode = 1, changedMs = nowMs - 60_000, mode = 0o644 } = {}): Source {
  const sizeBytes = Buffer.byteLength(text);
  const stamp = `64512 ${inode} ${ns(1_600_000_000_000)} ${ns(changedMs)}`;
  return { entry: { ...times, mode, type: 'file', path: toBytes(path), sizeBytes, stamp }, text };
}

function folder(path: string): Source {
  return { entry: { ...times, mode: 0o755, type: 'directory', path: toBytes(path) } };
}

/** Who has the files, and what was asked of him. */
function owner(sources: readonly Source[], { takenMs = nowMs, context = 'a folder' } = {}) {
  const asked: string[][] = [];
  const entries = sources.map(({ entry }) => entry);
  const listed: ListedContext = {
    listing: encodeListing({ context, takenMs }, entries),
    async *send(numbers) {
      asked.push(numbers.map((number) => Buffer.from(entries[number]!.path, 'latin1').toString()));
      for (const number of numbers) {
        const { text = '', changedTo } = sources[number]!;
        yield fileHead(number, Buffer.byteLength(changedTo ?? text));
        yield Buffer.from(changedTo ?? text);
        yield fileEnd(changedTo === undefined);
      }
    },
  };
  return { listed, asked };
}

/** A memory on a folder of its own, and trees over it one after another. */
async function withMemory(
  work: (open: <T>(listed: ListedContext, use: (tree: ListedTree) => Promise<T>) => Promise<T>, at: string) => unknown,
): Promise<void> {
  await using scratch = await temporaryFolder();
  const at = join(scratch.path, 'contexts');
  let trees = 0;
  await work(async (listed, use) => {
    // A new one each time: only what is on disk is remembered.
    const memory = new ContextMemory(at);
    const dataPath = join(scratch.path, `data-${++trees}`);
    await using tree = await ListedTree.open(listed, { dataPath, memory, report: () => {}, signal });
    return await use(tree);
  }, at);
}

async function digests(tree: BuildContext, paths: readonly string[]): Promise<string[]> {
  await tree.expect?.(paths.map(toBytes), 'digests');
  return await Promise.all(paths.map((path) => tree.contentHash(toBytes(path))));
}

const textOf = async (tree: BuildContext, path: string) => String(await readAll(tree.read(toBytes(path)), 1 << 20));

test('a listing gives the names, digests and contents that its tar gives', async () => {
  const sources: Source[] = [
    folder('d'),
    file('d/a', 'hello', { mode: 0o4755 }),
    file('d/ä"\n', 'not plain'),
    { entry: { ...times, type: 'file', path: 'd/\xff\xfe', sizeBytes: 2 }, text: 'no' },
    { entry: { ...times, type: 'hardlink', path: 'd/b', linkPath: 'd/a' } },
    { entry: { ...times, mode: 0o777, type: 'symlink', path: 'd/l', linkPath: '../\xff' } },
    { entry: { ...times, type: 'char', path: 'dev', devMajor: 1, devMinor: 300 } },
    file('empty', ''),
    { entry: { ...times, type: 'fifo', path: 'pipe' } },
    {
      entry: { ...times, type: 'file', path: 'ping', sizeBytes: 1, capability: Buffer.from([1, 0, 0, 2]) },
      text: 'p',
    },
    { entry: { ...times, type: 'file', path: 'x/implied', sizeBytes: 6, content: Buffer.from('inline') } },
  ];
  await using scratch = await temporaryFolder();
  const tar = packTar(
    sources.map(({ entry, text = 'inline' }) => {
      const xattrs = new Map(
        entry.type === 'file' && entry.capability ? [['security.capability', entry.capability]] : [],
      );
      const packed = { ...entry, xattrs, mtime: { sec: entry.mtimeSec, nsec: 0 } };
      return { entry: packed, ...(entry.type === 'file' ? { body: Buffer.from(text) } : {}) };
    }),
  );
  await using whole = await ContextTree.read(tar, join(scratch.path, 'context'), { signal });
  await withMemory((open) =>
    open(owner(sources).listed, async (tree) => {
      for (const path of ['', 'd', 'x', ...sources.map(({ entry }) => entry.path)]) {
        assert.deepEqual(await tree.list(path), await whole.list(path), path);
        assert.equal(await tree.hash(path), await whole.hash(path), path);
        assert.equal(await tree.contentHash(path), await whole.contentHash(path), path);
        assert.deepEqual(await tree.xattrs(path), await whole.xattrs(path), path);
        const [{ inode: one, ...node }, { inode: other, ...same }] = [
          await nodeOf(tree, path),
          await nodeOf(whole, path),
        ];
        assert.deepEqual([node, one === undefined], [same, other === undefined], path);
        if (node.type === 'file')
          assert.deepEqual(await readAll(tree.read(path), 99), await readAll(whole.read(path), 99));
      }
      assert.equal((await nodeOf(tree, 'd/a')).inode, (await nodeOf(tree, 'd/b')).inode);
    }),
  );
});

async function nodeOf(tree: BuildContext, path: string) {
  const { type, mode, uid, gid, sizeBytes, linkPath, mtime, devMajor, devMinor, inode } = (await tree.lstat(path))!;
  return { type, mode, uid, gid, sizeBytes, linkPath, mtime, devMajor, devMinor, inode };
}

test('what was seen once is not asked for again, until a step reads it', async () => {
  await withMemory(async (open) => {
    const sources = [file('a', 'A'), file('b', 'B'), file('c', 'C')];
    const first = owner(sources);
    const seen = await open(first.listed, (tree) => digests(tree, ['a', 'b']));
    assert.deepEqual(first.asked, [['a', 'b']]);
    const second = owner(sources, { takenMs: nowMs + 5_000 });
    await open(second.listed, async (tree) => {
      assert.deepEqual(await digests(tree, ['a', 'b']), seen);
      assert.deepEqual(second.asked, []);
      await tree.expect([toBytes('a'), toBytes('b')], 'contents');
      assert.equal((await textOf(tree, 'a')) + (await textOf(tree, 'b')) + (await textOf(tree, 'c')), 'ABC');
    });
    assert.deepEqual(second.asked, [['a', 'b'], ['c']]);
  });
});

test('a file can be read where it is while it comes, and others after it', async () => {
  await withMemory(async (open) => {
    const large = `${'x'.repeat(3 << 20)}!`;
    const { listed } = owner([file('a', 'A'), file('b', large), file('c', 'C'), file('d', 'D')]);
    const [stopped, asked] = [Promise.withResolvers<void>(), [] as number[][]];
    const slow: ListedContext = {
      ...listed,
      async *send(numbers, options) {
        asked.push([...numbers]);
        const bytes = Buffer.concat(await Array.fromAsync(listed.send(numbers, options)));
        for (let at = 0; at < bytes.length; at += 1 << 16) {
          if (at === 2 << 20) await stopped.promise;
          await turn();
          yield bytes.subarray(at, at + (1 << 16));
        }
      },
    };
    await open(slow, async (tree) => {
      const paths = ['a', 'b', 'c'].map(toBytes);
      assert.equal(tree.place(paths[0]!), undefined, 'nobody has asked for it');
      const all = tree.expect(paths, 'contents');
      const places = paths.map((path) => partsOf(tree.place(path)));
      assert.equal(await text(places[0]!), 'A');
      const first = (await places[1]!.next()).value as FilePart;
      assert.ok(first.lengthBytes < large.length, 'some of it');
      const digest = tree.contentHash(paths[2]!);
      stopped.resolve();
      assert.equal(readPart(first) + (await text(places[1]!)), large);
      assert.equal(await text(places[2]!), 'C');
      await Promise.all([all, digest]);
      assert.equal((tree.place(paths[1]!) as FilePart).lengthBytes, large.length, 'all of it');
      assert.equal(await textOf(tree, 'd'), 'D');
    });
    assert.deepEqual(asked, [[0, 1, 2], [3]], 'each once');
  });
});

type Place = ReturnType<ListedTree['place']>;

async function* partsOf(place: Place): AsyncGenerator<FilePart> {
  if (place && Symbol.asyncIterator in place) yield* place;
  else if (place) yield place;
}

function readPart({ fd, offset, lengthBytes }: FilePart): string {
  const bytes = Buffer.alloc(lengthBytes);
  readSync(fd, bytes, 0, lengthBytes, offset);
  return String(bytes);
}

const text = async (parts: AsyncIterable<FilePart>) => (await Array.fromAsync(parts, readPart)).join('');

test('contents that break off are told to all who wait for them, and asked for no second time', async () => {
  await withMemory(async (open) => {
    const { listed, asked } = owner([file('a', 'A'), { ...file('b', 'B'), changedTo: 'larger' }]);
    await open(listed, async (tree) => {
      const paths = ['a', 'b'].map(toBytes);
      const all = tree.expect(paths, 'contents');
      const places = paths.map((path) => Array.fromAsync(partsOf(tree.place(path))));
      for (const one of await Promise.allSettled([all, ...places, tree.expect(paths, 'digests')])) {
        assert.ok(one.status === 'rejected' && isKind(one.reason, 'invalid-argument'), JSON.stringify(one));
      }
      assert.equal(tree.place(paths[0]!), undefined, 'nothing of it is used');
    });
    assert.deepEqual(asked, [['a', 'b']]);
  });
});

test('a file that is not surely the same is read again, and only that one', async () => {
  const before = file('f', 'old');
  const changes: Readonly<Record<string, Source>> = {
    'rewritten with its size and mtime kept: its ctime tells': file('f', 'new', { changedMs: nowMs + 9_000 }),
    'another file moved into its place': file('f', 'new', { inode: 2 }),
    'its mode changed': file('f', 'old', { mode: 0o600 }),
    'another size': file('f', 'newer'),
    'no stamp, as on file systems that date nothing well': {
      entry: { ...before.entry, stamp: undefined } as unknown as ListedEntry,
      text: 'new',
    },
  };
  for (const [what, after] of Object.entries(changes)) {
    await withMemory(async (open) => {
      await open(owner([before, file('same', 'S')]).listed, (tree) => digests(tree, ['f', 'same']));
      const again = owner([after, file('same', 'S')], { takenMs: nowMs + 60_000 });
      const [digest] = await open(again.listed, (tree) => digests(tree, ['f', 'same']));
      assert.deepEqual(again.asked, [['f']], what);
      const fresh = owner([after], { context: 'elsewhere' });
      assert.deepEqual(await open(fresh.listed, (tree) => digests(tree, ['f'])), [digest], what);
    });
  }
});

test('a file changed just before the listing may change again within the same tick: it is not remembered', async () => {
  await withMemory(async (open) => {
    for (const changedMs of [nowMs - 1_000, nowMs, nowMs + 1_000]) {
      await open(owner([file('f', 'one', { changedMs })]).listed, (tree) => digests(tree, ['f']));
      // The same stamp, other bytes, and by now long ago.
      const later = owner([file('f', 'two', { changedMs })], { takenMs: nowMs + 60_000 });
      await open(later.listed, (tree) => digests(tree, ['f']));
      assert.deepEqual(later.asked, [['f']]);
      // Read long after the change it is.
      const last = owner([file('f', 'two', { changedMs })], { takenMs: nowMs + 90_000 });
      await open(last.listed, (tree) => digests(tree, ['f']));
      assert.deepEqual(last.asked, []);
    }
  });
});

test('a file that changes while it is read counts with the bytes that came, and is not remembered', async () => {
  await withMemory(async (open) => {
    const torn = owner([{ ...file('f', 'one'), changedTo: 'two' }]);
    const [digest] = await open(torn.listed, (tree) => digests(tree, ['f']));
    const [other] = await open(owner([file('f', 'two')], { context: 'b' }).listed, (tree) => digests(tree, ['f']));
    assert.equal(digest, other);
    const again = owner([file('f', 'one')]);
    await open(again.listed, (tree) => digests(tree, ['f']));
    assert.deepEqual(again.asked, [['f']]);
  });
});

test('bytes that are not those a step was decided by end the build, and the next one starts afresh', async () => {
  await withMemory(async (open) => {
    const sources = [file('a', 'A'), file('f', 'one')];
    await open(owner(sources).listed, (tree) => digests(tree, ['a', 'f']));
    const lied = [sources[0]!, { ...sources[1]!, text: 'two' }];
    await open(owner(lied).listed, async (tree) => {
      await digests(tree, ['f']);
      await assert.rejects(
        textOf(tree, 'f'),
        (error) => isKind(error, 'failed-precondition') && /f changed while the image was built/.test(String(error)),
      );
    });
    const next = owner(lied);
    const [digest] = await open(next.listed, (tree) => digests(tree, ['f', 'a']));
    assert.deepEqual(next.asked, [['f']]);
    const fresh = owner([file('f', 'two')], { context: 'b' });
    assert.deepEqual(await open(fresh.listed, (tree) => digests(tree, ['f'])), [digest]);
  });
});

test('a memory cut short, or with a bit turned, is none', async () => {
  await withMemory(async (open, at) => {
    const sources = [file('a', 'A'), file('b', 'B')];
    const build = async () => {
      const { listed, asked } = owner(sources);
      await open(listed, (tree) => digests(tree, ['a', 'b']));
      return asked;
    };
    await build();
    assert.deepEqual(await build(), []);
    const [name = ''] = await readdir(at);
    const whole = await readFile(join(at, name));
    const turned = Buffer.from(whole);
    turned[40]! ^= 1;
    for (const broken of [whole.subarray(0, -1), whole.subarray(0, 30), Buffer.alloc(0), turned]) {
      await writeFile(join(at, name), broken);
      assert.deepEqual(await build(), [['a', 'b']]);
    }
  });
});

test('the memory is bounded: contexts used longest ago go first', async () => {
  await using scratch = await temporaryFolder();
  const memory = new ContextMemory(scratch.path, { contexts: 2, heldLines: 2 });
  const digest = createHash('sha256').update('x').digest('hex');
  for (const [index, context] of ['one', 'two', 'three'].entries()) {
    await memory.save(context, new Map([[`line of ${context}`, digest]]));
    for (const name of await readdir(scratch.path)) {
      const path = join(scratch.path, name);
      if ((await readFile(path, 'utf8')).includes(`line of ${context}`)) await utimes(path, index + 1, index + 1);
    }
  }
  assert.equal((await readdir(scratch.path)).length, 2);
  const fresh = new ContextMemory(scratch.path);
  const sizes = await Promise.all(['one', 'two', 'three'].map(async (context) => (await fresh.load(context)).size));
  assert.deepEqual(sizes, [0, 1, 1]);
  await fresh.clear();
  assert.equal((await new ContextMemory(scratch.path).load('three')).size, 0);
});

test('hostile listings are refused by their line', async () => {
  const header = (entries: number) => JSON.stringify({ version: 1, context: 'c', takenMs: 1, entries });
  const f = (path: string) => `["f",${JSON.stringify(path)},420,1,0,null]`;
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /line 1: ends early|line 1: not JSON/],
    [`${header(1)}\n`, /line 1: 1 entries announced, 0 came/],
    [`${header(0).replace('"version":1', '"version":2')}\n`, /line 1: version 2 is not known/],
    ...['/etc/passwd', '../x', 'a/../b', 'a//b', './a', 'a/', '', 'a\0b', 'ŕ'].map(
      (path) => [`${header(1)}\n${f(path)}\n`, /line 2: not a (?:path|name)/] as const,
    ),
    [`${header(1)}\n["f","a",420,1,-1,null]\n`, /line 2: -1 is out of range/],
    [`${header(1)}\n["f","a",65536,1,1,null]\n`, /line 2: 65536 is out of range/],
    [`${header(1)}\n["f","a",420,1,1,"1 2 3"]\n`, /line 2: no stamp/],
    [`${header(1)}\n["f","a",420,1,1,null,{"content":"AAAA"}]\n`, /line 2: content has not 1 bytes/],
    [`${header(1)}\n["s","a",420,1]\n`, /line 2: no type of file/],
    [`${header(1)}\n["h","a",420,1,"b"]\n`, /hardlink to b, which is no file before it/],
    [`${header(2)}\n${f('a')}\n${f('a')}\n`, /a: listed twice/],
    [`${header(2)}\n${f('a')}\n${f('a/b')}\n`, /a: has something below it and is no folder/],
  ];
  await withMemory(async (open) => {
    for (const [text, words] of cases) {
      const listed: ListedContext = { listing: Buffer.from(text), send: () => fromBytes() };
      await assert.rejects(
        open(listed, async () => {}),
        (error) => isKind(error, 'invalid-argument') && words.test(String(error)),
        text,
      );
    }
  });
});

test('contents that are not as they were asked for are refused, and nothing of them is used', async () => {
  const sources = [file('a', 'AA'), file('b', 'BB')];
  const whole = (number: number, text: string) => [fileHead(number, text.length), Buffer.from(text), fileEnd(true)];
  const streams: Readonly<Record<string, readonly Buffer[]>> = {
    'another file': [...whole(1, 'BB'), ...whole(0, 'AA')],
    'another size': [...whole(0, 'AAA'), ...whole(1, 'BB')],
    'one less': whole(0, 'AA'),
    'one more': [...whole(0, 'AA'), ...whole(1, 'BB'), ...whole(1, 'BB')],
    'cut in the head': [...whole(0, 'AA'), fileHead(1, 2).subarray(0, 5)],
    'cut in the content': [...whole(0, 'AA'), fileHead(1, 2), Buffer.from('B')],
    'cut before the end': [...whole(0, 'AA'), fileHead(1, 2), Buffer.from('BB')],
  };
  for (const [what, stream] of Object.entries(streams)) {
    await withMemory(async (open) => {
      const listed: ListedContext = { ...owner(sources).listed, send: () => fromBytes(Buffer.concat(stream)) };
      await open(listed, (tree) =>
        assert.rejects(digests(tree, ['a', 'b']), (error) => isKind(error, 'invalid-argument'), what),
      );
    });
  }
});

test('a stream is understood however it is cut', async () => {
  const sources = [file('a', 'A'.repeat(70)), file('b', ''), file('c', 'C')];
  const { listed } = owner(sources);
  const bytes = await readAll(listed.send([0, 2], { report: () => {}, signal }), 1 << 20);
  const cut: ListedContext = { ...listed, send: () => fromBytes(...[...bytes].map((byte) => Buffer.from([byte]))) };
  await withMemory(async (open) => {
    const one = await open(cut, (tree) => digests(tree, ['a', 'b', 'c']));
    assert.deepEqual(
      await open(owner(sources, { context: 'b' }).listed, (tree) => digests(tree, ['a', 'b', 'c'])),
      one,
    );
  });
});
