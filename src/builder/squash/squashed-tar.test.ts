import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { endOfArchive, type PackEntry, packHeader, packPadding, readTar } from '#archive';
import { type DiffID, digestOf } from '#oci';
import { fromBytes, readAll } from '#streams';
import { emptyTree, type SourceTree } from '../executor/index.ts';
import { squashedTar } from './squashed-tar.ts';

type Entry = PackEntry & { readonly body?: string };

function tarOf(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap(({ body = '', ...entry }) => [
    packHeader({ ...entry, sizeBytes: body.length }),
    Buffer.from(body),
    ...(entry.type === 'file' ? [packPadding(body.length)] : []),
  ]);
  return Buffer.concat([...parts, endOfArchive]);
}

/** What layers leave, by path: a plain model of image-spec v1.1 layer.md. */
type Model = Map<string, string>;

async function applied(layers: readonly Buffer[]): Promise<Model> {
  const model: Model = new Map();
  for (const layer of layers) await apply(model, layer);
  return model;
}

async function apply(model: Model, layer: Buffer): Promise<void> {
  const removeBelow = (path: string) => {
    for (const known of [...model.keys()]) if (known.startsWith(`${path}/`)) model.delete(known);
  };
  const puts: (() => void)[] = [];
  for await (const item of readTar(fromBytes(layer))) {
    const path = item.path.replace(/\/$/, '');
    const [, folder = '', name = ''] = /^(.*\/)?([^/]*)$/.exec(path)!;
    const body = (await readAll(item.body, 1000)).toString();
    const text = `${item.type} ${item.mode} ${item.linkPath} ${body} ${item.mtime.sec}`;
    if (name === '.wh..wh..opq') removeBelow(folder.slice(0, -1));
    else if (name.startsWith('.wh.')) {
      model.delete(folder + name.slice(4));
      removeBelow(folder + name.slice(4));
    } else {
      puts.push(() => {
        if (item.type !== 'directory' || !model.get(path)?.startsWith('directory')) removeBelow(path);
        model.set(path, item.type === 'hardlink' ? model.get(item.linkPath)! : text);
      });
    }
  }
  for (const put of puts) put();
}

function treeOf(model: Model): SourceTree {
  return {
    ...emptyTree,
    lstat: async (path) => {
      const text = model.get(path);
      if (text === undefined) return path === '' ? await emptyTree.lstat('') : undefined;
      const [type, mode, linkPath, body = '', sec] = text.split(' ');
      const node = { type, mode: Number(mode), linkPath, sizeBytes: body.length, mtime: { sec: Number(sec), nsec: 0 } };
      return { ...node, uid: 0, gid: 0, devMajor: 0, devMinor: 0, inode: undefined } as never;
    },
    read: (path) => fromBytes(Buffer.from(model.get(path)!.split(' ')[3]!)),
  };
}

async function squashed(base: Buffer, layers: readonly Buffer[]): Promise<Buffer> {
  const store = new Map(layers.map((layer) => [digestOf(layer), layer]));
  const content = {
    open: (digest: DiffID, { offset = 0, length = Number.MAX_SAFE_INTEGER } = {}) =>
      fromBytes(store.get(digest)!.subarray(offset, offset + length)),
  };
  const source = {
    content: content as never,
    layers: layers.map((layer) => digestOf(layer) as DiffID),
    below: treeOf(await applied([base])),
    signal: new AbortController().signal,
  };
  return await readAll(squashedTar(source), 1 << 20);
}

const file = (path: string, body = path): Entry => ({
  type: 'file',
  path,
  mode: 0o644,
  body,
  mtime: { sec: 1, nsec: 0 },
});
const folder = (path: string): Entry => ({ type: 'directory', path, mode: 0o755, mtime: { sec: 2, nsec: 0 } });
const gone = (path: string): Entry => ({ type: 'file', path, mode: 0o600 });

async function names(tar: Buffer): Promise<string[]> {
  const paths: string[] = [];
  for await (const { type, path, linkPath } of readTar(fromBytes(tar))) {
    paths.push(type === 'hardlink' ? `${path} = ${linkPath}` : path);
  }
  return paths;
}

test('whiteouts stay for what is below only; a folder that came back hides what it had', async () => {
  const base = tarOf([folder('d'), file('d/old'), file('f'), folder('keep'), file('keep/k')]);
  const layers = [
    tarOf([folder('d'), file('d/made'), file('tmp'), gone('.wh.f')]),
    tarOf([gone('.wh.d'), gone('.wh.tmp'), folder('keep'), gone('keep/.wh.k')]),
    tarOf([folder('d'), file('d/new')]),
  ];
  assert.deepEqual(await names(await squashed(base, layers)), [
    'd/',
    'd/.wh..wh..opq',
    'd/new',
    '.wh.f',
    'keep/',
    'keep/.wh.k',
  ]);
  assert.deepEqual(await names(await squashed(tarOf([]), layers)), ['d/', 'd/new', 'keep/']);
});

test('names of one file stay one file, also when the first is gone or the file is below', async () => {
  const base = tarOf([file('below', 'b')]);
  const link = (path: string, linkPath: string): Entry => ({ type: 'hardlink', path, linkPath });
  const layers = [
    tarOf([file('a', 'x'), link('b', 'a'), link('c', 'b'), link('n', 'below')]),
    tarOf([gone('.wh.a')]),
    tarOf([file('c', 'own')]),
  ];
  const tar = await squashed(base, layers);
  assert.deepEqual(await names(tar), ['b', 'c', 'n']);
  assert.deepEqual(await applied([base, tar]), await applied([base, ...layers]));
  assert.deepEqual(await names(await squashed(base, layers.slice(0, 2))), ['b', 'c = b', 'n']);
});

interface Change {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'symlink' | 'gone' | 'opaque' | 'link';
  readonly body: string;
}

const path = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const change: fc.Arbitrary<Change> = fc.record({
  path,
  kind: fc.constantFrom('file', 'folder', 'symlink', 'gone', 'opaque', 'link'),
  body: fc.constantFrom('', '1', '22'),
});

/** The folders a path is in, from the top. */
function foldersOf(at: string): string[] {
  const parts = at.split('/').slice(0, -1);
  return parts.map((_part, index) => parts.slice(0, index + 1).join('/'));
}

/** Changes as a layer that a driver could have written over `below`: parents are folders, whiteouts name what is there. */
function layerOver(below: Model, changes: readonly Change[]): Buffer {
  const entries = new Map<string, Entry>();
  const isFolder = (at: string) => (entries.get(at)?.type ?? below.get(at) ?? 'directory').startsWith('directory');
  for (const change of changes) {
    const { path: at, kind } = change;
    const isTaken = [...entries.keys()].some(
      (known) => known === at || known.startsWith(`${at}/`) || known.includes('.wh.'),
    );
    if (isTaken || !foldersOf(at).every(isFolder) || (kind === 'gone' && !below.has(at))) continue;
    for (const parent of foldersOf(at)) if (!entries.has(parent)) entries.set(parent, folder(parent));
    for (const entry of entriesOf(change, [...entries.values()])) entries.set(entry.path, entry);
  }
  return tarOf([...entries.values()]);
}

function entriesOf({ path: at, kind, body }: Change, before: readonly Entry[]): Entry[] {
  if (kind === 'gone') return [gone(at.replace(/([^/]*)$/, '.wh.$1'))];
  if (kind === 'file') return [file(at, body)];
  if (kind === 'symlink') return [{ type: 'symlink', path: at, linkPath: 'x', mode: 0o777 }];
  if (kind === 'folder') return [folder(at)];
  if (kind === 'opaque') return [folder(at), gone(`${at}/.wh..wh..opq`)];
  const target = before.find((entry) => entry.type === 'file');
  return target ? [{ type: 'hardlink', path: at, linkPath: target.path }] : [];
}

test('one layer leaves what several left, over 1,000 random stacks', async () => {
  const layers = fc.array(fc.array(change, { maxLength: 6 }), { minLength: 2, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(layers, async ([first = [], ...rest]) => {
      const base = layerOver(new Map(), first);
      const stack = [base];
      for (const changes of rest) stack.push(layerOver(await applied(stack), changes));
      const tar = await squashed(base, stack.slice(1));
      assert.deepEqual(new Map([...(await applied([base, tar]))].sort()), new Map([...(await applied(stack))].sort()));
    }),
    { numRuns: 1000, seed: 4 },
  );
});
