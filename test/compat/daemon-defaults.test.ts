/** What the daemon's configuration decides for every container: its runtime's arguments, its seccomp profile. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { containerSetup, daemonWords, until } from './containers-fixture.ts';

test('runtimes with arguments of their own', async (t) => {
  await using folder = await temporaryFolder();
  const real = readdirSync('/usr/sbin').includes('runc') ? '/usr/sbin/runc' : '/usr/bin/crun';
  const [script, calls] = [join(folder.path, 'runtime'), join(folder.path, 'calls')];
  await writeFile(script, `#!/bin/sh\necho "$@" >>${calls}\nexec ${real} "$@"\n`, { mode: 0o755 });
  const config = join(folder.path, 'daemon.json');
  const runtimes = {
    told: { path: script, runtimeArgs: ['--debug', `--log=${join(folder.path, 'log')}`] },
    plain: { path: script },
  };
  await writeFile(config, JSON.stringify({ runtimes, 'default-runtime': 'told' }));
  await using setup = await containerSetup(t, ['--config-file', config]);
  if (!setup) return;
  const { daemon, docker, sh } = setup;
  /** What stands in front of the root in every call since the last time. */
  const fronts = async () => {
    const text = await readFile(calls, 'utf8');
    await writeFile(calls, '');
    const all = text.split('\n').filter((line) => line.includes('--root'));
    assert.ok(all.some((line) => / create /.test(line)));
    return [...new Set(all.map((line) => line.slice(0, line.indexOf('--root')).trim()))];
  };
  const told = `--debug --log=${join(folder.path, 'log')}`;
  await writeFile(calls, '');

  await t.test('every command has them, of the default runtime and of one that is asked for', async () => {
    assert.equal(await sh([], 'echo hi'), 'hi');
    assert.deepEqual(await fronts(), [told]);
    assert.equal(await sh(['--runtime', 'plain'], 'echo hi'), 'hi');
    assert.deepEqual(await fronts(), ['']);
    assert.match(await readFile(join(folder.path, 'log'), 'utf8'), /\S/);
    const shown = JSON.parse(await docker.ok('info', '-f', '{{json .Runtimes}}'));
    assert.deepEqual(shown.told.runtimeArgs, runtimes.told.runtimeArgs);
    assert.deepEqual([shown.plain.path, shown.plain.runtimeArgs], [script, undefined]);
  });

  await t.test('so do those to a container that outlived the daemon', async () => {
    await docker.ok('run', '-d', '--name', 'alive', '--runtime', 'told', 'base', 'sleep', '1000');
    await daemon.kill();
    await daemon.start();
    await writeFile(calls, '');
    assert.equal(await docker.ok('exec', 'alive', 'echo', 'hi'), 'hi\n');
    const text = await readFile(calls, 'utf8');
    assert.ok(text.startsWith(`${told} --root`) && / exec /.test(text), text);
    await docker.ok('rm', '-f', 'alive');
  });
});

test('--seccomp-profile of the daemon', async (t) => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'profile.json');
  const denied = { names: ['chmod', 'fchmod', 'fchmodat', 'fchmodat2'], action: 'SCMP_ACT_ERRNO', errnoRet: 12 };
  await writeFile(path, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [denied] }));
  await using setup = await containerSetup(t, ['--seccomp-profile', path]);
  if (!setup) return;
  const { docker, run, sh } = setup;
  const chmod = 'touch /f; chmod 600 /f 2>&1 || true; grep ^Seccomp: /proc/self/status';
  const refused = /Cannot allocate memory|Out of memory/;

  await t.test('is that of containers and builds that name none', async () => {
    assert.match(await sh([], chmod), refused);
    assert.equal(await sh(['--security-opt', 'seccomp=unconfined'], chmod), 'Seccomp:\t0');
    assert.equal(await sh(['--privileged'], chmod), 'Seccomp:\t0');
    if (!docker.olderThan(23)) assert.equal(await sh(['--security-opt', 'seccomp=builtin'], chmod), 'Seccomp:\t2');
    assert.match(
      await docker.ok('info', '-f', '{{json .SecurityOptions}}'),
      new RegExp(`"name=seccomp,profile=${path}"`),
    );
    const built = await docker.run(['build', '-'], { input: `FROM base\nRUN ${chmod}\n` });
    assert.match(built.stdout, refused);
  });

  await t.test('one that is none fails the start; a file that is not there, the daemon’s', async () => {
    await using broken = await TestDaemon.start({ flags: ['--seccomp-profile', 'unconfined'] });
    await until(
      async () => broken.log,
      (log) => log.includes('API listens'),
    );
    await assert.rejects(
      TestDaemon.start({ flags: ['--seccomp-profile', '/nowhere'] }),
      /opening seccomp profile \(\/nowhere\) failed: open \/nowhere: no such file or directory/,
    );
    await writeFile(path, 'none');
    await setup.daemon.kill();
    await setup.daemon.start();
    assert.match(daemonWords(docker, await run([], ['true'])), /seccomp/);
  });
});
