import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import { fromBytes } from '#streams';
import {
  decodeFrames,
  encodeFrame,
  formatQuery,
  parseHost,
  parseTarget,
  Query,
  RouteTable,
  readLines,
  type StreamName,
} from './index.ts';

test('queries read as Go does', () => {
  const query = Query.parse('all=1&t=a&t=b%2Fc&empty=&flag&plus=a+b&utf=%C3%A9');
  assert.equal(query.bool('all'), true);
  assert.deepEqual(query.all('t'), ['a', 'b/c']);
  assert.equal(query.text('empty'), undefined);
  assert.equal(query.has('flag'), true);
  assert.equal(query.get('plus'), 'a b');
  assert.equal(query.get('utf'), 'é');
  for (const [text, value] of Object.entries({ '0': false, False: false, none: false, NO: false, zz: true })) {
    assert.equal(Query.parse(`x=${text}`).bool('x'), value, text);
  }
  assert.throws(() => Query.parse('a=%zz'), { message: 'invalid URL escape "%zz"' });
  assert.throws(() => Query.parse('a=1;b=2'), { message: 'invalid semicolon separator in query' });
  assert.throws(() => Query.parse('n=x').integer('n'), { message: 'strconv.Atoi: parsing "x": invalid syntax' });
  assert.equal(Query.parse('n=-5').integer('n'), -5);
});

test('formatQuery and Query are inverse', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.array(fc.string(), { minLength: 1 })), (values) => {
      const query = Query.parse(formatQuery(values).slice(1));
      for (const [key, list] of Object.entries(values)) assert.deepEqual(query.all(key), list);
    }),
  );
});

test('routes match in order, with slashes where the pattern says so', () => {
  const table = new RouteTable([
    { method: 'GET', pattern: '/images/json', target: 'list' },
    { method: 'GET', pattern: '/images/{name:.*}/json', target: 'inspect' },
    { method: 'GET', pattern: '/exec/{id}/json', target: 'exec' },
  ]);
  assert.equal(table.find('GET', '/images/json')?.route.target, 'list');
  assert.deepEqual(table.find('GET', '/images/localhost:1/a/b/json')?.params, { name: 'localhost:1/a/b' });
  assert.equal(table.find('GET', '/exec/a/b/json'), undefined);
  assert.equal(table.find('POST', '/images/json'), undefined);
  assert.equal(table.find('GET', '/'), undefined);
  assert.throws(() => new RouteTable([{ method: 'GET', pattern: '/{name}', target: 'all' }]), /no literal/);
});

test('targets give version, path and query, and know what Go would redirect', () => {
  assert.deepEqual(parseTarget('/v1.51/images/json?all=1'), {
    path: '/images/json',
    query: 'all=1',
    version: '1.51',
    cleaned: undefined,
  });
  assert.equal(parseTarget('/v1.51')?.version, undefined);
  assert.equal(parseTarget('//info?x=1')?.cleaned, '/info?x=1');
  assert.equal(parseTarget('/v1.51/containers/../info')?.cleaned, '/v1.51/info');
  assert.equal(parseTarget('/images/.')?.cleaned, '/images/');
  assert.equal(parseTarget('/images/.hidden/..b/c..')?.cleaned, undefined);
  assert.equal(parseTarget('*')?.cleaned, '/');
  assert.equal(parseTarget('http://host/info')?.path, '/info');
  assert.equal(parseTarget('/a%2Fb')?.path, '/a/b');
  assert.equal(parseTarget('/info%zz'), undefined);
});

test('hosts as -H takes them', () => {
  assert.deepEqual(parseHost('unix:///run/x.sock'), { kind: 'unix', path: '/run/x.sock' });
  assert.deepEqual(parseHost('tcp://127.0.0.1:80'), { kind: 'tcp', host: '127.0.0.1', port: 80 });
  assert.deepEqual(parseHost('tcp://h'), { kind: 'tcp', host: 'h', port: 2375 });
  assert.deepEqual(parseHost('tcp://[::1]:5', { tls: true }), { kind: 'tcp', host: '::1', port: 5 });
  assert.deepEqual(parseHost('https://h'), { kind: 'tcp', host: 'h', port: 2376 });
  for (const bad of ['unix://', 'ftp://x', 'tcp://a:b', 'tcp://a:1/path', 'fd://']) {
    assert.throws(
      () => parseHost(bad),
      (error) => isKind(error, 'invalid-argument'),
      bad,
    );
  }
});

test('frames come back whole however they are cut', async () => {
  const frame = fc.tuple(
    fc.constantFrom<StreamName>('stdout', 'stderr'),
    fc.uint8Array({ minLength: 1, maxLength: 40 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(frame), fc.integer({ min: 1, max: 13 }), async (frames, step) => {
      const wire = Buffer.concat(frames.map(([stream, data]) => encodeFrame(stream, data)));
      const chunks: Buffer[] = [];
      for (let at = 0; at < wire.length; at += step) chunks.push(wire.subarray(at, at + step));
      const got: [string, number][] = [];
      for await (const { stream, data } of decodeFrames(fromBytes(...chunks))) {
        for (const byte of data) got.push([stream, byte]);
      }
      assert.deepEqual(
        got,
        frames.flatMap(([stream, data]) => [...data].map((byte) => [stream, byte])),
      );
    }),
  );
});

test('broken frames are refused', async () => {
  const read = async (bytes: Uint8Array) => {
    for await (const _ of decodeFrames(fromBytes(bytes)));
  };
  await assert.rejects(read(Buffer.from('HTTP/1.1 500')), (error) => isKind(error, 'data-loss'));
  await assert.rejects(read(encodeFrame('stdout', Buffer.from('abc')).subarray(0, 9)), (error) =>
    isKind(error, 'data-loss'),
  );
  await assert.rejects(read(encodeFrame('system', Buffer.from('boom\n'))), {
    message: 'error from daemon in stream: boom',
  });
});

test('lines are bounded', async () => {
  const lines: string[] = [];
  for await (const line of readLines(fromBytes('a\r\nb', 'b\n\nc'))) lines.push(line);
  assert.deepEqual(lines, ['a', 'bb', '', 'c']);
  await assert.rejects(
    async () => {
      for await (const _ of readLines(fromBytes('x'.repeat(50), 'x'.repeat(60)), 100));
    },
    (error) => isKind(error, 'out-of-range'),
  );
});
