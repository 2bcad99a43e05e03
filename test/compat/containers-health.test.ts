import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerSetup, lines, until } from './containers-fixture.ts';

test('health checks', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const inspect = async (name: string, format: string) => (await docker.ok('inspect', '-f', format, name)).trim();
  const becomes = (name: string, format: string, wanted: string) =>
    until(
      () => inspect(name, format),
      (now) => now === wanted,
    );
  const health = '{{.State.Health.Status}}';
  const start = (name: string, check: string, ...flags: string[]) =>
    docker.ok(
      ...['run', '-d', '--name', name, '--health-cmd', check, '--health-interval', '100ms', '--health-retries', '2'],
      ...[...flags, 'base', 'sleep', '1000'],
    );
  const statuses = async (name: string) =>
    lines(
      await docker.ok(
        ...['events', '--since', '5m', '--until=-1s', '--filter', `container=${name}`],
        ...['--filter', 'event=health_status', '--format', '{{.Action}}'],
      ),
    );
  const listed = async (status: string) =>
    lines(await docker.ok('ps', '--filter', `health=${status}`, '--format', '{{.Names}}')).sort();

  await t.test('from starting to unhealthy to healthy, with what the checks said', async () => {
    await start('web', 'echo out; cat /ok');
    assert.equal(await inspect('web', health), 'starting');
    assert.match(await docker.ok('ps', '--format', '{{.Status}}'), /^Up .* \(health: starting\)\n$/);
    await becomes('web', health, 'unhealthy');
    assert.deepEqual(await listed('unhealthy'), ['web']);
    assert.match(
      await inspect('web', '{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}'),
      /^1 .*(out\n.*No such file|No such file.*\nout)/s,
    );
    await docker.ok('exec', 'web', 'touch', '/ok');
    await becomes('web', health, 'healthy');
    assert.match(await docker.ok('ps', '--format', '{{.Status}}'), /^Up .* \(healthy\)\n$/);
    await becomes('web', '{{.State.Health.FailingStreak}} {{len .State.Health.Log}}', '0 5');
    await docker.ok('run', '-d', '--name', 'plain', 'base', 'sleep', '1000');
    assert.deepEqual([await listed('healthy'), await listed('none')], [['web'], ['plain']]);
    assert.deepEqual(await statuses('web'), ['health_status: unhealthy', 'health_status: healthy']);
    await docker.ok('pause', 'web');
    assert.equal(await inspect('web', health), 'unhealthy');
    await docker.ok('unpause', 'web');
    await becomes('web', health, 'healthy');
  });

  await t.test('a killed daemon takes up the checks where they were', async () => {
    await daemon.kill();
    await daemon.start();
    assert.equal(await inspect('web', health), 'healthy');
    await docker.ok('exec', 'web', 'rm', '/ok');
    await becomes('web', health, 'unhealthy');
    await docker.ok('rm', '-f', 'web', 'plain');
  });

  await t.test('timeouts, commands that are not there, long output, no check at all', async () => {
    await start('hangs', 'sleep 100', '--health-timeout', '200ms');
    await becomes('hangs', health, 'unhealthy');
    const first = '{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}';
    assert.equal(await inspect('hangs', first), '-1 Health check exceeded timeout (200ms)');
    await start('missing', '/nosuch');
    await becomes('missing', health, 'unhealthy');
    assert.match(await inspect('missing', first), /^127 .*not found/);
    await start('long', 'yes | head -c 6000');
    await becomes('long', health, 'healthy');
    assert.equal(await inspect('long', '{{len (index .State.Health.Log 0).Output}}'), '4099');
    const dockerfile = 'FROM base\nHEALTHCHECK --interval=100ms --retries=1 CMD false\n';
    await docker.ok('rm', '-f', 'hangs', 'missing', 'long');
    const built = await docker.run(['build', '-t', 'checked', '-'], { input: dockerfile });
    assert.equal(built.status, 0, built.stderr);
    await docker.ok('run', '-d', '--name', 'image', 'checked', 'sleep', '1000');
    await docker.ok('run', '-d', '--name', 'none', '--no-healthcheck', 'checked', 'sleep', '1000');
    await becomes('image', health, 'unhealthy');
    assert.equal(await inspect('none', '{{json .State.Health}} {{json .Config.Healthcheck.Test}}'), 'null ["NONE"]');
    await docker.ok('rm', '-f', 'image', 'none');
  });

  await t.test('what is done with an unhealthy one, by label', async () => {
    const label = (action: string) => ['--label', `io.wherry.health-on-failure=${action}`];
    await start('stops', 'false', ...label('stop'), '--restart', 'always', '--stop-timeout', '0');
    await start('kills', 'false', ...label('kill'), '--restart', 'on-failure:1');
    await start('starts', 'test -e /up', ...label('restart'), '--stop-timeout', '0');
    await start('tells', 'false', ...label('none'));
    await becomes('stops', '{{.State.Status}} {{.RestartCount}}', 'exited 0');
    await becomes('kills', '{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}', 'exited 1 137');
    await until(
      () => inspect('starts', '{{.State.Status}} {{.RestartCount}}'),
      (now) => /^running [1-9]/.test(now),
    );
    await until(
      () => docker.run(['exec', 'starts', 'touch', '/up']),
      ({ status }) => status === 0,
    );
    await becomes('starts', health, 'healthy');
    await becomes('tells', '{{.State.Status}} {{.State.Health.Status}}', 'running unhealthy');
    const refused = await docker.run(['create', ...label('explode'), 'base', 'true']);
    assert.match(refused.stderr, /invalid value for label io\.wherry\.health-on-failure \(explode\): must be one of/);
  });
});
