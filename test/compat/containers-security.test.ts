import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerSetup, daemonWords } from './containers-fixture.ts';

test('security options of a container', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder, run, sh } = setup;
  const profile = async (name: string, content: unknown) => {
    const path = join(folder, `${name}.json`);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return ['--security-opt', `seccomp=${path}`];
  };
  const chmod = 'touch /f; chmod 600 /f 2>&1 || true; grep ^Seccomp: /proc/self/status';

  await t.test('a seccomp profile of the user’s own', async () => {
    const calls = ['chmod', 'fchmod', 'fchmodat', 'fchmodat2', 'nosuchcall'];
    const denial = (more: object = {}) => ({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: calls, action: 'SCMP_ACT_ERRNO', errnoRet: 12, ...more }],
    });
    const denied = /Cannot allocate memory|Out of memory/;
    assert.match(await sh(await profile('deny', denial()), chmod), denied);
    assert.match(await sh([...(await profile('deny', denial())), '--privileged'], chmod), denied);
    const unless = await profile('unless', denial({ excludes: { caps: ['CAP_SYS_TIME'] } }));
    assert.match(await sh(unless, chmod), denied);
    assert.equal(await sh([...unless, '--cap-add', 'SYS_TIME'], chmod), 'Seccomp:\t2');
    assert.equal(await sh(await profile('none', {}), chmod), 'Seccomp:\t0');
    // Before 23 the CLI took the word for a file's name.
    if (!docker.olderThan(23)) assert.equal(await sh(['--security-opt', 'seccomp=builtin'], chmod), 'Seccomp:\t2');
  });

  await t.test('an exec is under the profile of its container', async () => {
    const one = await profile('exec', {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }],
    });
    await docker.ok('run', '-d', '--name', 'held', ...one, 'base', 'sleep', '100');
    const made = await docker.run(['exec', 'held', 'mkdir', '/x']);
    assert.match(made.stderr, /Operation not permitted/);
    await docker.ok('rm', '-f', 'held');
  });

  await t.test('profiles that are none', async () => {
    const message = async (content: unknown) => daemonWords(docker, await run(await profile('bad', content), ['true']));
    assert.match(await message({ defaultAction: 'BOGUS' }), /string BOGUS is not a valid action for seccomp$/);
    const both = { architectures: ['SCMP_ARCH_X86_64'], archMap: [{ architecture: 'SCMP_ARCH_X86_64' }] };
    assert.match(
      await message({ defaultAction: 'SCMP_ACT_ALLOW', ...both }),
      /^both 'architectures' and 'archMap' are/,
    );
  });

  await t.test('system paths, control groups, labels', async () => {
    const masked = 'grep -c "^tmpfs /proc/acpi\\|^proc /proc/sys " /proc/mounts';
    assert.notEqual(await sh([], `${masked} || true`), '0');
    assert.equal(await sh(['--security-opt', 'systempaths=unconfined'], `${masked} || true`), '0');
    const group = existsSync('/sys/fs/cgroup/memory') ? '/sys/fs/cgroup/memory/inner' : '/sys/fs/cgroup/inner';
    const make = `mkdir ${group} 2>/dev/null && rmdir ${group} && echo made || echo not`;
    assert.equal(await sh([], make), 'not');
    assert.equal(await sh(['--security-opt', 'writable-cgroups=true'], make), 'made');
    assert.equal(await sh(['--security-opt', 'label=disable', '--security-opt', 'apparmor=any'], 'echo runs'), 'runs');
    await docker.ok('create', '--name', 'profiled', '--security-opt', 'apparmor=any', 'base', 'true');
    const profile = () => docker.ok('inspect', '-f', '{{.AppArmorProfile}}', 'profiled');
    assert.equal(await profile(), 'any\n');
    await docker.ok('start', '-a', 'profiled');
    assert.equal(await profile(), '\n');
  });
});
