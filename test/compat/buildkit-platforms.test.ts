/** One build for several platforms, over BuildKit's protocol. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '#client';
import { requireRoot } from '#testing';
import { FileSend, FileSync } from '../../src/buildkit/proto/filesync_pb.ts';
import { BuildKitClient } from '../support/buildkit-client.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SentFolder } from '../support/sent-files.ts';
import { SyncedFiles } from '../support/synced-files.ts';

const attributes = { platform: 'linux/amd64,linux/arm64/v8', 'multi-platform': 'true' };
const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /which\nCOPY a /a\n';
const contents = { Dockerfile: dockerfile, amd64: 'one', arm64: 'two', a: 'alpha' };

test('an index with an image of each platform, under names, and files of each in a folder of its own', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  await using client = await BuildKitClient.connect(daemon.host);
  await using engine = connect(daemon.host);
  const folder = new SentFolder();
  const session = await client.serve([FileSync, FileSend], (router) => {
    new SyncedFiles(contents).route(router);
    folder.route(router);
  });
  const status = Array.fromAsync(client.control.status({ ref: 'several' }));
  const exporters = [
    { type: 'moby', attributes: { name: 'several:1' } },
    { type: 'local', attributes: {} },
  ];
  const answer = await client.build(session, { ref: 'several', attributes, exporters });
  const names = (await status).flatMap(({ vertexes }) => vertexes).map(({ name }) => name);
  assert.ok(names.includes('[linux/amd64 1/2] COPY amd64 /which'), names.join('\n'));
  assert.ok(names.includes('[linux/arm64/v8 1/2] COPY arm64 /which'));
  assert.equal(answer['containerimage.config.digest'], undefined);
  const shown = await engine.images.inspect('several:1');
  assert.deepEqual(shown.RepoTags, ['several:1']);
  const [one, two] = await Promise.all(
    ['linux/amd64', 'linux/arm64'].map((platform) => engine.images.inspect('several:1', { platform })),
  );
  assert.deepEqual([one?.Architecture, two?.Architecture], ['amd64', 'arm64']);
  assert.notEqual(one?.Id, two?.Id);
  assert.equal((await engine.images.list()).length, 1);
  assert.equal(folder.files.get('linux_amd64/which')?.content, 'one');
  assert.equal(
    folder.files.get('linux_arm64/which')?.content ?? folder.files.get('linux_arm64_v8/which')?.content,
    'two',
  );

  // The same image alone is what its own name means, whatever index it is in.
  const alone = await client.build(session, {
    attributes: { platform: 'linux/amd64' },
    exporters: [{ type: 'moby', attributes: { name: 'alone:1' } }],
  });
  assert.equal(alone['containerimage.config.digest'], one?.Id);
  const again = await client.build(session, { attributes, exporters: [exporters[0]!] });
  assert.equal(again['containerimage.digest'], answer['containerimage.digest']);
  await assert.rejects(
    engine.images.inspect('alone:1', { platform: 'linux/arm64' }),
    /does not match the specified platform/,
  );
  await engine.images.remove('several:1');
  assert.equal((await engine.images.inspect('alone:1')).Id, one?.Id);
});
