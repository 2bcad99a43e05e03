/** Clients that are not Docker's, against our registry with accounts. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import bcrypt from 'bcryptjs';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { saveArchive, tarOf } from './images-fixture.ts';

function skopeo(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile('skopeo', ['--insecure-policy', ...args], { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

test('skopeo copies, inspects, lists and deletes', async (t) => {
  if (spawnSync('skopeo', ['--version']).error) return t.skip('skopeo is not here');
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'htpasswd'), `ann:${bcrypt.hashSync('secret', 4)}\n`);
  const rules = [
    { repositories: ['*'], users: ['ann'], actions: ['pull', 'push', 'delete'] },
    { repositories: ['public/*'], users: ['anonymous'], actions: ['pull'] },
  ] as const;
  const access = { htpasswd: join(folder.path, 'htpasswd'), rules, useTokens: true, service: 'test', tokenSeconds: 60 };
  const root = join(folder.path, 'data');
  await using server = await serveRegistry({ root, addr: '127.0.0.1:0', config: { access } });
  const { archive } = saveArchive({ layers: [tarOf({ a: 'one' }), tarOf({ b: 'two' })], tags: ['app:1'] });
  await writeFile(join(folder.path, 'app.tar'), archive);
  const name = `docker://${server.address}/public/app`;
  const source = `docker-archive:${join(folder.path, 'app.tar')}`;
  const refused = await skopeo('copy', '--dest-tls-verify=false', source, `${name}:1`);
  assert.match(refused.stderr, /unauthorized|denied|authentication required/);
  const ok = async (...args: string[]) => {
    const ran = await skopeo(...args);
    assert.equal(ran.status, 0, ran.stderr);
    return ran.stdout;
  };
  const as = (side: string) => [`--${side}tls-verify=false`, `--${side}creds=ann:secret`];
  await ok('copy', ...as('dest-'), source, `${name}:1`);
  await ok('copy', ...as('src-'), ...as('dest-'), `${name}:1`, `docker://${server.address}/ann/copy:1`);
  const inspected = JSON.parse(await ok('inspect', '--tls-verify=false', `${name}:1`));
  assert.deepEqual([inspected.RepoTags, inspected.Layers.length], [['1'], 2]);
  await ok('copy', '--src-tls-verify=false', `${name}:1`, `oci:${join(folder.path, 'layout')}:1`);
  await ok('delete', ...as(''), `${name}:1`);
  assert.match((await skopeo('inspect', '--tls-verify=false', `${name}:1`)).stderr, /manifest unknown/);
  assert.match(await ok('inspect', ...as(''), `docker://${server.address}/ann/copy:1`), /"Digest"/, 'the copy stays');
});

/** Runs one of Debian's container tools on a store of its own. */
function toolOn(program: string, folder: string) {
  const store = ['--storage-driver', 'vfs', '--root', join(folder, 'store'), '--runroot', join(folder, 'run')];
  return async (...args: string[]): Promise<string> => {
    const ran = await new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
      execFile(program, [...store, ...args], { timeout: 60_000 }, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
      );
    });
    assert.equal(ran.status, 0, `${program} ${args.join(' ')}: ${ran.stderr}`);
    return ran.stdout.trim();
  };
}

for (const program of ['podman', 'buildah']) {
  test(`${program} pushes and pulls, with gzip and with zstd layers`, async (t) => {
    if (!requireRoot(t)) return;
    if (spawnSync(program, ['--version']).error) return t.skip(`${program} is not here`);
    await using folder = await temporaryFolder();
    await using server = await serveRegistry({ root: join(folder.path, 'data'), addr: '127.0.0.1:0' });
    const tool = toolOn(program, folder.path);
    const { archive } = saveArchive({ layers: [tarOf({ a: 'one' }), tarOf({ b: 'two' })], tags: ['app:1'] });
    await writeFile(join(folder.path, 'app.tar'), archive);
    const id = (await tool('pull', '-q', `docker-archive:${join(folder.path, 'app.tar')}`)).split('\n').at(-1)!;
    for (const [tag, compression] of [
      ['gz', 'gzip'],
      ['zst', 'zstd'],
    ] as const) {
      const name = `${server.address}/team/app:${tag}`;
      const how = ['--tls-verify=false', '--compression-format', compression];
      await tool('push', '-q', ...how, id, `docker://${name}`);
      const manifest = await (await fetch(`http://${server.address}/v2/team/app/manifests/${tag}`)).json();
      assert.equal((manifest as { layers: unknown[] }).layers.length, 2);
      const pulled = await tool('pull', '-q', '--tls-verify=false', `docker://${name}`);
      assert.equal(pulled.split('\n').at(-1), id, 'the same image');
    }
    await tool('rmi', '-f', id);
    const again = await tool('pull', '-q', '--tls-verify=false', `docker://${server.address}/team/app:gz`);
    assert.equal(again.split('\n').at(-1), id);
  });
}
