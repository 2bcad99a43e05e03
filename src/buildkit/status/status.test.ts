import assert from 'node:assert/strict';
import { test } from 'node:test';
import { definitionVertex, namedVertex } from '#builder';
import { EngineError } from '#errdefs';
import { StatusFeed, type StatusUpdate } from './feed.ts';
import { VertexStatus } from './vertex-status.ts';

const signal = AbortSignal.timeout(20_000);

async function told(feed: StatusFeed): Promise<StatusUpdate[]> {
  feed.end();
  return await Array.fromAsync(feed.follow({ signal }));
}

function log(text: string): StatusUpdate {
  return { logs: [{ vertex: 'v', stream: 1n, message: Buffer.from(text) }] };
}

function textOf(updates: readonly StatusUpdate[]): string {
  return updates.flatMap(({ logs }) => logs ?? []).reduce((text, { message }) => text + Buffer.from(message!), '');
}

test('whoever comes late is told all of it, output together', async () => {
  const feed = new StatusFeed();
  feed.publish({ vertexes: [{ digest: 'v', name: 'one' }] });
  for (const text of ['a', 'b', 'c']) feed.publish(log(text));
  feed.publish({ vertexes: [{ digest: 'v', name: 'one', cached: true }] });
  const updates = await told(feed);
  assert.equal(updates.length, 3);
  assert.equal(textOf(updates), 'abc');
});

test('of endless output the newest is kept, and every state', async () => {
  const feed = new StatusFeed({ maxLogBytes: 100 });
  for (let at = 0; at < 50; at++) {
    feed.publish(log(`line ${at}\n`.padEnd(10)));
    feed.publish({ vertexes: [{ digest: 'v', name: String(at) }] });
  }
  const updates = await told(feed);
  assert.equal(updates.filter(({ vertexes }) => vertexes).length, 50);
  assert.match(textOf(updates), /^line 40\n/);
});

test('each change of a vertex tells its whole state', async () => {
  const feed = new StatusFeed();
  const status = new VertexStatus(feed);
  const one = { ...namedVertex('one'), inputs: ['sha256:x'] };
  status.on({ kind: 'vertexes', vertexes: [one] });
  status.on({ kind: 'started', digest: one.digest });
  status.on({ kind: 'cached', digest: one.digest });
  status.on({ kind: 'done', digest: one.digest });
  status.on({ kind: 'done', digest: one.digest });
  const states = (await told(feed)).flatMap(({ vertexes }) => vertexes ?? []);
  assert.deepEqual(
    states.map(({ name, cached, started, completed, inputs }) => [name, cached, !!started, !!completed, inputs]),
    [
      ['one', false, false, false, ['sha256:x']],
      ['one', false, true, false, ['sha256:x']],
      ['one', true, true, false, ['sha256:x']],
      ['one', true, true, true, ['sha256:x']],
    ],
  );
});

test('what fails says why, and what was told to stop that it was', async () => {
  const feed = new StatusFeed();
  const status = new VertexStatus(feed);
  await assert.rejects(
    status.during(namedVertex('bad'), () => Promise.reject(new EngineError('not-found', 'no such thing'))),
    /no such thing/,
  );
  await assert.rejects(status.during(namedVertex('late'), () => Promise.reject(new DOMException('x', 'AbortError'))));
  const errors = (await told(feed)).flatMap(({ vertexes }) => vertexes ?? []).map(({ name, error }) => [name, error]);
  assert.deepEqual(
    errors.filter(([, error]) => error),
    [
      ['bad', 'no such thing'],
      ['late', 'context canceled'],
    ],
  );
});

test('a layer is fetched and unpacked under two names, both of which end', async () => {
  const feed = new StatusFeed();
  const status = new VertexStatus(feed);
  const from = namedVertex('FROM x');
  status.on({ kind: 'vertexes', vertexes: [from] });
  const steps: [string, { current: number; total: number }?][] = [
    ['Downloading', { current: 1, total: 9 }],
    ['Extracting', { current: 2, total: 9 }],
    ['Pull complete'],
  ];
  for (const [text, progressDetail] of steps) {
    const message = { id: 'abc', status: text, progressDetail: progressDetail ?? {} };
    status.on({ kind: 'progress', digest: from.digest, message });
  }
  const parts = (await told(feed)).flatMap(({ statuses }) => statuses ?? []);
  assert.deepEqual(
    parts.map(({ id, name, current, total, completed }) => [id, name, current, total, !!completed]),
    [
      ['abc', 'downloading', 1n, 9n, false],
      ['abc', 'done', 9n, 9n, true],
      ['extracting abc', 'extract', 2n, 9n, false],
      ['extracting abc', 'extract', 2n, 9n, true],
    ],
  );
});

test('files that came early are shown once a step is known to read them, until it has', async () => {
  const feed = new StatusFeed();
  const status = new VertexStatus(feed);
  const context = namedVertex('context');
  const unused = status.later(namedVertex('unused'), 'transferring:');
  const loading = status.later(context, 'transferring:');
  unused.add(1);
  loading.add(20);
  const copy = { ...namedVertex('COPY'), inputs: [context.digest] };
  status.on({ kind: 'vertexes', vertexes: [copy, context] });
  loading.add(5);
  status.on({ kind: 'done', digest: copy.digest });
  const updates = await told(feed);
  const counted = updates
    .flatMap(({ statuses }) => statuses ?? [])
    .map(({ current, completed }) => [current, !!completed]);
  assert.deepEqual(counted, [
    [20n, false],
    [25n, false],
    [25n, true],
  ]);
  const last = updates.flatMap(({ vertexes }) => vertexes ?? []).findLast(({ name }) => name === 'context');
  assert.ok(last?.completed);
  assert.ok(!updates.some(({ vertexes }) => vertexes?.some(({ name }) => name === 'unused')));
});

test('a warning of the checks is about the Dockerfile, with its text', async () => {
  const feed = new StatusFeed();
  new VertexStatus(feed).on({
    kind: 'warnings',
    warnings: [
      {
        ...{ rule: 'StageNameCasing', description: 'Stage names should be lowercase', detail: 'Stage name', file: 'F' },
        ...{ startLine: 2, endLine: 3, excerpt: '', url: 'https://x' },
      },
    ],
    source: { name: 'F', text: 'FROM a' },
  });
  const [warning] = (await told(feed)).flatMap(({ warnings }) => warnings ?? []);
  assert.equal(warning?.vertex, definitionVertex('F').digest);
  assert.equal(Buffer.from(warning!.short!).toString(), 'StageNameCasing: Stage name (line 2)');
  assert.deepEqual(warning?.ranges, [{ start: { line: 2, character: 0 }, end: { line: 3, character: 0 } }]);
  assert.equal(Buffer.from(warning!.info!.data!).toString(), 'FROM a');
});
