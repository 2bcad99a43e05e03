/** What clients of BuildKit are told while a build runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireRoot } from '#testing';
import type { StatusResponse } from '../../src/buildkit/proto/control_pb.ts';
import { FileSync } from '../../src/buildkit/proto/filesync_pb.ts';
import { BuildKitClient } from '../support/buildkit-client.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SyncedFiles } from '../support/synced-files.ts';

async function statusOf(client: BuildKitClient, files: Record<string, string>, ref: string) {
  const session = await client.serve([FileSync], new SyncedFiles(files).route);
  const status = Array.fromAsync(client.control.status({ ref }));
  const failure = await client
    .build(session, { ref, exporters: [{ type: 'moby', attributes: { name: 'progress:1' } }] })
    .then(() => undefined, String);
  return { updates: await status, failure };
}

/** The last state of each vertex, in the order in which they began. */
function vertexesOf(updates: readonly StatusResponse[]) {
  const started = updates.flatMap(({ vertexes }) => vertexes.filter((vertex) => vertex.started));
  return [...new Map(started.map((vertex) => [vertex.digest, vertex])).values()];
}

test('vertexes of a build as they begin and end, again from the cache, and of one that fails', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  await using client = await BuildKitClient.connect(daemon.host);
  const files = {
    Dockerfile: 'FROM scratch AS one\nCOPY a /a\nFROM scratch\nENV x=y\nCOPY --from=one /a /$x\n',
    a: 'hello',
  };
  const names = [
    '[internal] load build definition from Dockerfile',
    '[internal] load .dockerignore',
    '[internal] load build context',
    '[one 1/1] COPY a /a',
    '[stage-1 1/1] COPY --from=one /a /y',
    'exporting to image',
  ];
  for (const cached of [false, true]) {
    const { updates, failure } = await statusOf(client, files, `build-${cached}`);
    assert.equal(failure, undefined);
    const vertexes = vertexesOf(updates);
    assert.deepEqual(
      vertexes.map(({ name }) => name),
      names,
    );
    assert.ok(vertexes.every(({ completed, error }) => completed && error === ''));
    assert.deepEqual(
      vertexes.map((vertex) => vertex.cached),
      names.map((name) => cached && name.includes('COPY')),
    );
    const [one, two] = vertexes.slice(3);
    assert.deepEqual(two?.inputs, [one?.digest]);
    const parts = updates.flatMap(({ statuses }) => statuses).filter(({ completed }) => completed);
    assert.ok(parts.some(({ id }) => id === 'naming to docker.io/library/progress:1'));
    assert.ok(
      parts.some(({ id, current }) => id === 'transferring dockerfile:' && Number(current) === files.Dockerfile.length),
    );
  }
  const { updates, failure } = await statusOf(
    client,
    { Dockerfile: 'FROM scratch as X\nCOPY nothere /a\n' },
    'failing',
  );
  assert.match(failure ?? '', /file not found/);
  const failed = vertexesOf(updates).filter(({ error }) => error !== '');
  assert.deepEqual(
    failed.map(({ name, completed }) => [name, !!completed]),
    [['[1/1] COPY nothere /a', true]],
  );
  assert.match(failed[0]!.error, /file not found/);
  const warnings = updates.flatMap((update) => update.warnings).map((warning) => Buffer.from(warning.short).toString());
  assert.deepEqual(
    warnings.map((text) => text.split(':')[0]),
    ['StageNameCasing', 'FromAsCasing'],
  );
});
