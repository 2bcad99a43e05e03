import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Engine as EngineInterface } from 'wherry';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { inPieces, tarOf } from './crash-fixture.ts';
import { instanceOf, mountsBelow } from './crash-traces.ts';

const home = join(import.meta.dirname, '..', '..');
const example = join(home, 'examples', 'library.ts');

/** The package as an installed one is found: by its name. */
const library = () => import('wherry');

test('the example is short', () => {
  const lines = readFileSync(example, 'utf8').trimEnd().split('\n');
  assert.ok(lines.length < 30, `${lines.length} lines`);
});

test('the example imports, builds, runs and pushes in one process, and leaves nothing running', async (t) => {
  if (!requireRoot(t)) return;
  const { serveRegistry } = await library();
  await using folder = await temporaryFolder('wherry-library-');
  await using registry = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  const address = registry.address.replace(/^https?:\/\//, '');
  const base = join(folder.path, 'base.tar');
  writeFileSync(base, baseImageTar());
  const root = join(folder.path, 'root');
  const { stdout } = await promisify(execFile)(process.execPath, [example, root, base, address], { timeout: 60_000 });
  await rm(join('/run/wherry', instanceOf(root)), { recursive: true });
  assert.match(stdout, /Step 2\/3 : RUN echo/);
  assert.match(stdout, /\nmade Linux\nexit status 0\n/);
  assert.match(stdout, /digest: sha256:[0-9a-f]{64}/);
  const tags = await (await fetch(`http://${address}/v2/greeting/tags/list`)).json();
  assert.deepEqual(tags, { name: 'greeting', tags: ['1'] });
  assert.deepEqual(mountsBelow(folder.path), []);
});

/** The example's steps, whichever way the engine is reached. */
async function greet(engine: EngineInterface): Promise<string> {
  for await (const _ of engine.images.import(inPieces(baseImageTar()), { repo: 'base', changes: ['ENV PATH=/bin'] }));
  const dockerfile = 'FROM base\nRUN echo hello > /greeting\nCMD ["cat", "/greeting"]\n';
  for await (const _ of engine.build(inPieces(tarOf({ Dockerfile: dockerfile })), { t: ['greeting'] }));
  const { Id } = await engine.containers.create({ Image: 'greeting' });
  await using streams = await engine.containers.attach(Id, { stream: true, stdout: true });
  const { result } = await engine.containers.wait(Id, { condition: 'next-exit' });
  await engine.containers.start(Id);
  const output = await Array.fromAsync(streams.output, ({ data }) => Buffer.from(data).toString());
  assert.equal((await result).StatusCode, 0);
  await engine.containers.remove(Id);
  return output.join('');
}

test('the same steps through a daemon; its data root is refused to others', async (t) => {
  if (!requireRoot(t)) return;
  const { Engine, isKind } = await library();
  await using daemon = await TestDaemon.start();
  await using connected = Engine.connect(daemon.host);
  assert.equal(await greet(connected), 'hello\n');
  await assert.rejects(Engine.open({ root: daemon.dataRoot }), (error: Error) => {
    assert.ok(isKind(error, 'conflict'));
    assert.ok(error.message.includes(daemon.host));
    return true;
  });
  assert.equal((await connected.images.inspect('greeting')).RepoTags?.[0], 'greeting:latest');
});

test('the same steps in this process', async (t) => {
  if (!requireRoot(t)) return;
  const { Engine } = await library();
  await using folder = await temporaryFolder('wherry-library-');
  {
    await using engine = await Engine.open({ root: join(folder.path, 'data'), execRoot: join(folder.path, 'run') });
    assert.equal(await greet(engine), 'hello\n');
    assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
  }
  assert.deepEqual(mountsBelow(folder.path), []);
});
