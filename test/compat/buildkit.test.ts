/** Builds over BuildKit's protocol, by a client of the test's own: no buildx is needed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '#client';
import { requireRoot } from '#testing';
import { FileSync } from '../../src/buildkit/proto/filesync_pb.ts';
import { BuildKitClient } from '../support/buildkit-client.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SyncedFiles } from '../support/synced-files.ts';

async function withDaemon(
  t: Parameters<typeof requireRoot>[0],
  work: (parts: { daemon: TestDaemon; client: BuildKitClient; engine: ReturnType<typeof connect> }) => Promise<void>,
): Promise<void> {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  await using engine = connect(daemon.host);
  await using client = await BuildKitClient.connect(daemon.host);
  await work({ daemon, client, engine });
}

test('a Dockerfile and its context come over a session, and the image is in the store', async (t) => {
  await withDaemon(t, async ({ client, engine }) => {
    const files = new SyncedFiles({
      Dockerfile: 'FROM scratch\nCOPY a /a\nLABEL x=y\n',
      a: 'hello',
      unused: 'not sent',
    });
    const session = await client.serve([FileSync], files.route, { sharedKey: 'one' });
    const answer = await client.build(session, {
      exporters: [{ type: 'moby', attributes: { name: 'built:1,built:2' } }],
    });
    const image = await engine.images.inspect('built:1');
    assert.equal(answer['containerimage.config.digest'], image.Id);
    assert.equal(answer['image.name'], 'docker.io/library/built:1,docker.io/library/built:2');
    assert.deepEqual(image.Config?.Labels, { x: 'y' });
    assert.equal((await engine.images.inspect('built:2')).Id, image.Id);
    assert.ok(files.sent.includes('a') && !files.sent.includes('unused'), files.sent.join());
  });
});

test('a build that fails says so to whoever asked for it', async (t) => {
  await withDaemon(t, async ({ client }) => {
    const files = new SyncedFiles({ Dockerfile: 'FROM scratch\nCOPY missing /a\n' });
    const session = await client.serve([FileSync], files.route);
    await assert.rejects(client.build(session), /file not found in build context/);
    await assert.rejects(client.build('nobody'), /no active session for nobody/);
    await assert.rejects(
      client.build(session, { attributes: { bogus: '1' } }),
      /the frontend attribute bogus is not supported/,
    );
  });
});
