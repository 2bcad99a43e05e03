/** The build cache and earlier builds, over BuildKit's protocol. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '#client';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { FileSync } from '../../src/buildkit/proto/filesync_pb.ts';
import { BuildKitClient } from '../support/buildkit-client.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SyncedFiles } from '../support/synced-files.ts';

test('the cache is listed and pruned, and builds are remembered with what they told', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  await using client = await BuildKitClient.connect(daemon.host);
  const { control } = client;
  const build = async (ref: string, dockerfile: string) => {
    const files = new SyncedFiles({ Dockerfile: dockerfile, a: 'alpha' });
    const session = await client.serve([FileSync], files.route);
    return await client.build(session, { ref, attributes: { target: '' } }).then(
      () => undefined,
      (error: unknown) => String(error),
    );
  };
  assert.equal(await build('good', 'FROM scratch\nCOPY a /a\nCOPY a /b\n'), undefined);
  assert.match((await build('bad', 'FROM scratch\nCOPY nothere /a\n')) ?? '', /not found/);

  const { record } = await control.diskUsage({});
  assert.deepEqual(
    record.map(({ recordType }) => recordType),
    ['regular', 'regular'],
  );
  const [one] = record;
  const found = async (filter: string[]) => (await control.diskUsage({ filter })).record.map(({ id }) => id);
  assert.deepEqual(await found([`id==${one!.id}`]), [one!.id]);
  assert.deepEqual(await found([`description==${one!.description}`, '']), [one!.id]);
  assert.equal((await found(['description~=.'])).length, 2);
  assert.deepEqual(await found(['type==exec.cachemount']), []);
  await assert.rejects(control.diskUsage({ filter: ['bogus==1'] }), /invalid filter "bogus==1"/);

  const history = async (request = {}) =>
    (await Array.fromAsync(control.listenBuildHistory({ earlyExit: true, ...request }))).map(
      ({ record: seen }) => seen,
    );
  const [good, bad] = await history();
  assert.deepEqual([good?.ref, bad?.ref], ['good', 'bad']);
  assert.ok(good?.completedAt && !good.error && good.totalSteps === good.completedSteps);
  assert.match(bad?.error?.message ?? '', /not found/);
  assert.equal((await history({ ref: 'bad' })).length, 1);
  const told = (await Array.fromAsync(control.status({ ref: 'good' }))).flatMap(({ vertexes }) => vertexes);
  assert.ok(told.some(({ name, completed }) => name === '[2/2] COPY a /b' && completed));
  await control.updateBuildHistory({ ref: 'bad', delete: true });
  assert.deepEqual(
    (await history()).map((seen) => seen?.ref),
    ['good'],
  );
  await assert.rejects(control.updateBuildHistory({ ref: 'bad', delete: true }), /no such build: bad/);

  const pruned = await Array.fromAsync(control.prune({ all: true }));
  assert.deepEqual(pruned.map(({ id }) => id).sort(), record.map(({ id }) => id).sort());
  assert.deepEqual((await control.diskUsage({})).record, []);
});

test('steps are taken from images that a build names as its cache; one that cannot be had is told of', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  await using client = await BuildKitClient.connect(daemon.host);
  const files = new SyncedFiles({ Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'alpha' });
  const session = await client.serve([FileSync], files.route);
  const exporters = [{ type: 'moby', attributes: { name: 'earlier:1' } }];
  await client.build(session, { exporters });
  await Array.fromAsync(client.control.prune({ all: true }));
  const build = async (ref: string, imports: unknown) => {
    const status = Array.fromAsync(client.control.status({ ref }));
    await client.build(session, { ref, attributes: { 'cache-imports': JSON.stringify(imports) } });
    return (await status).flatMap(({ vertexes }) => vertexes).filter(({ completed }) => completed);
  };
  const registry = (ref: string) => ({ Type: 'registry', Attrs: { ref } });
  const vertexes = await build('cached', [registry('127.0.0.1:1/nobody/there'), registry('earlier:1')]);
  const states = vertexes.map(({ name, cached, error }) => [name, cached, error !== '']);
  const found = (part: string) => states.find(([name]) => String(name).includes(part))?.slice(1);
  assert.deepEqual(found('importing cache manifest from 127.0.0.1:1/nobody/there'), [false, true]);
  assert.deepEqual(found('importing cache manifest from earlier:1'), [false, false]);
  assert.deepEqual(found('COPY a /a'), [true, false]);
  await assert.rejects(build('refused', [{ Type: 'gha', Attrs: {} }]), /cache import of type gha is not supported/);
});

test('a cache that one daemon pushes is what another takes its steps from', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using registry = await serveRegistry({ root: folder.path, addr: '127.0.0.1:0' });
  const ref = `${registry.address}/caches/one:1`;
  const files = { Dockerfile: 'FROM scratch\nCOPY a /a\nCOPY a /b\n', a: 'alpha' };
  const within = async (work: (client: BuildKitClient, session: string, daemon: TestDaemon) => Promise<void>) => {
    await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
    await using client = await BuildKitClient.connect(daemon.host);
    await work(client, await client.serve([FileSync], new SyncedFiles(files).route), daemon);
  };
  const cacheTo = (attributes: Record<string, string>) => [{ type: 'registry', attributes: { ref, ...attributes } }];
  await within(async (client, session, daemon) => {
    await client.build(session, { cacheExports: cacheTo({ mode: 'min' }) });
    await using engine = connect(daemon.host);
    assert.deepEqual(await engine.images.list(), [], 'nobody asked for an image');
    await assert.rejects(
      client.build(session, { cacheExports: cacheTo({ mode: 'max' }) }),
      /mode=max is not supported/,
    );
    const nowhere = cacheTo({ ref: '127.0.0.1:1/nobody/there' });
    await assert.rejects(client.build(session, { cacheExports: nowhere }), /connection refused/);
    await client.build(session, { cacheExports: cacheTo({ ref: '127.0.0.1:1/nobody/there', 'ignore-error': 'true' }) });
  });
  await within(async (client, session) => {
    const status = Array.fromAsync(client.control.status({ ref: 'other' }));
    const imports = JSON.stringify([{ Type: 'registry', Attrs: { ref } }]);
    await client.build(session, { ref: 'other', attributes: { 'cache-imports': imports } });
    const vertexes = (await status).flatMap((update) => update.vertexes);
    const cached = vertexes.filter((vertex) => vertex.cached && vertex.completed).map(({ name }) => name);
    assert.deepEqual(cached, ['[1/2] COPY a /a', '[2/2] COPY a /b']);
  });
});
