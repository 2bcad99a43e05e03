/** `--mount type=image`: the files of an image at a path of a container. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerSetup, daemonWords, until } from './containers-fixture.ts';

test('image mounts', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, run, sh } = setup;
  if (docker.olderThan(28)) return t.skip('this docker CLI knows no image mounts');
  const mount = (...more: string[]) => ['--mount', ['type=image', 'source=told', 'target=/im', ...more].join(',')];
  const viewsLeft = () => ['mounts', 'binds'].flatMap((folder) => readdirSync(join(daemon.folder, 'run', folder)));
  await docker.ok('run', '--name', 'made', 'base', 'sh', '-c', 'mkdir -p /told/deep; echo words >/told/deep/file');
  await docker.ok('commit', 'made', 'told');
  await docker.ok('rm', 'made');

  await t.test('an image is there, read-only, whole or in part', async () => {
    assert.equal(await sh(mount(), 'cat /im/told/deep/file; touch /im/x 2>/dev/null || echo no'), 'words\nno');
    assert.equal(await sh(mount('image-subpath=told/deep'), 'ls /im; touch /im/x 2>/dev/null || echo no'), 'file\nno');
    assert.equal(await sh(mount('image-subpath=told/deep/file'), 'cat /im'), 'words');
    assert.deepEqual(viewsLeft(), []);
  });

  await t.test('it lives as long as its container, over the image’s end, a stop, and the daemon’s', async () => {
    await docker.ok('run', '-d', '--name', 'holder', '--stop-timeout', '0', ...mount(), 'base', 'sleep', '1000');
    await docker.ok('rmi', 'told');
    const words = () => docker.ok('exec', 'holder', 'cat', '/im/told/deep/file');
    assert.equal(await words(), 'words\n');
    await daemon.kill();
    await daemon.start();
    assert.equal(await words(), 'words\n');
    await docker.ok('stop', 'holder');
    assert.deepEqual(viewsLeft(), []);
    assert.match(await docker.ok('cp', 'holder:/im/told/deep/file', '-'), /words\n/);
    assert.deepEqual(viewsLeft(), []);
    await daemon.kill();
    await daemon.start();
    await docker.ok('start', 'holder');
    assert.equal(await words(), 'words\n');
    assert.equal(await sh(['--volumes-from', 'holder'], 'cat /im/told/deep/file'), 'words');
    const format = '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}} {{.Propagation}}{{end}}';
    assert.equal(await docker.ok('inspect', '-f', format, 'holder'), 'image told /im false rprivate\n');
    await docker.ok('commit', 'holder', 'told');
    await docker.ok('rm', '-f', 'holder');
    await until(
      async () => viewsLeft(),
      (left) => left.length === 0,
    );
  });

  await t.test('what cannot be is refused, and leaves nothing', async () => {
    const fails = async (...flags: string[]) => {
      const ran = await run(flags, ['true']);
      const stderr = ran.stderr.replace('WARNING: Image mount is an experimental feature\n', '');
      return [ran.status, daemonWords(docker, { ...ran, stderr })];
    };
    const begin = 'invalid mount config for type "image": ';
    const outside = `${begin}subpath must be a relative path within the volume`;
    assert.deepEqual(await fails(...mount('image-subpath=../x')), [125, outside]);
    assert.deepEqual(await fails(...mount('image-subpath=/x')), [125, outside]);
    assert.deepEqual(await fails('--mount', 'type=image,target=/im'), [125, `${begin}field Source must not be empty`]);
    const [status, words] = await fails(...mount('image-subpath=nowhere'));
    assert.equal(status, 127);
    assert.match(String(words), /^cannot access path .*\/nowhere: lstat .*\/nowhere: no such file or directory$/);
    const missing = await docker.run([
      'create',
      '--mount',
      'type=image,source=127.0.0.1:1/x,target=/im',
      'base',
      'true',
    ]);
    assert.match(missing.stderr, /Unable to find image|No such image: 127.0.0.1:1\/x:latest/);
    assert.deepEqual(viewsLeft(), []);
    assert.equal(await docker.ok('ps', '-aq'), '');
  });
});
