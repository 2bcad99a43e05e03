/** What is no image, by oras, against our registry with accounts: files, what refers to them, copies of both. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import bcrypt from 'bcryptjs';
import { digestOf } from '#oci';
import { serveRegistry } from '#registry-server';
import { temporaryFolder } from '#testing';

const program = process.env['WHERRY_ORAS'] ?? 'oras';
const rules = [{ repositories: ['art/*'], users: ['ann'], actions: ['pull', 'push', 'delete'] }] as const;

/** Runs it in a folder that is also its home; answers what it printed. */
function orasIn(folder: string) {
  const run = (args: readonly string[], input = '') =>
    new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
      const options = { cwd: folder, env: { ...process.env, HOME: folder }, timeout: 60_000 };
      const child = execFile(program, args, options, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
      );
      child.stdin?.end(input);
    });
  const ok = async (...args: string[]) => {
    const ran = await run(args);
    assert.equal(ran.status, 0, `oras ${args.join(' ')}: ${ran.stderr}`);
    return ran.stdout;
  };
  return { run, ok };
}

async function setUp(t: TestContext) {
  if (spawnSync(program, ['version']).error) {
    t.skip('no oras (Debian package oras): WHERRY_ORAS may name it');
    return undefined;
  }
  const folder = await temporaryFolder();
  await writeFile(join(folder.path, 'htpasswd'), `ann:${bcrypt.hashSync('secret', 4)}\n`);
  const access = { htpasswd: join(folder.path, 'htpasswd'), rules, useTokens: true, service: 'test', tokenSeconds: 60 };
  const root = join(folder.path, 'data');
  const server = await serveRegistry({ root, addr: '127.0.0.1:0', config: { access } });
  const oras = orasIn(folder.path);
  const login = ['login', '--plain-http', '-u', 'ann', '--password-stdin', server.address];
  assert.equal((await oras.run(login, 'secret')).status, 0);
  return {
    ...oras,
    folder: folder.path,
    art: `${server.address}/art`,
    address: server.address,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const plain = '--plain-http';
const bothPlain = ['--from-plain-http', '--to-plain-http'];

test('files are pushed and pulled, found and deleted', async (t) => {
  await using setup = await setUp(t);
  if (!setup) return;
  const { ok, run, folder, art, address } = setup;
  const bytes = randomBytes(9 << 20);
  await writeFile(join(folder, 'model.bin'), bytes);
  await writeFile(join(folder, 'note.txt'), 'hello');
  const name = `${art}/model`;
  await ok('push', plain, `${name}:v1,latest`, '--artifact-type', 'application/vnd.example', 'model.bin', 'note.txt');
  await ok('pull', plain, '-o', 'out', `${name}:v1`);
  assert.ok((await readFile(join(folder, 'out', 'model.bin'))).equals(bytes));
  const manifest = JSON.parse(await ok('manifest', 'fetch', plain, `${name}:v1`));
  assert.equal(manifest.artifactType, 'application/vnd.example');
  assert.deepEqual((await ok('repo', 'tags', plain, name)).split('\n').filter(Boolean), ['latest', 'v1']);
  assert.match(await ok('repo', 'ls', plain, address), /^art\/model$/m);
  await ok('blob', 'push', plain, name, '--media-type', 'text/plain', 'note.txt');
  assert.equal(await ok('blob', 'fetch', plain, '-o', '-', `${name}@${digestOf('hello')}`), 'hello');
  await ok('manifest', 'index', 'create', plain, `${name}:all`, 'v1');
  await ok('manifest', 'delete', plain, '-f', `${name}:all`);
  assert.match((await run(['resolve', plain, `${name}:all`])).stderr, /not found/);
  await ok('logout', address);
  assert.match((await run(['pull', plain, `${name}:v1`])).stderr, /unauthorized|denied/i);
});

test('what refers to an artifact is found, and goes along with copies of it', async (t) => {
  await using setup = await setUp(t);
  if (!setup) return;
  const { ok, folder, art } = setup;
  for (const file of ['app', 'sbom', 'signature']) await writeFile(join(folder, file), file);
  const [name, copy, back] = ['one', 'two', 'three'].map((repository) => `${art}/${repository}:1`) as [
    string,
    string,
    string,
  ];
  await ok('push', plain, name, 'app');
  await ok('attach', plain, name, '--artifact-type', 'application/spdx+json', 'sbom');
  const sbom = async (of: string, type: string) => {
    const found = JSON.parse(await ok('discover', plain, '--format', 'json', '--artifact-type', type, of));
    return (found.referrers as { reference: string; artifactType: string }[]).map(({ reference }) => reference);
  };
  const [found = '', ...others] = await sbom(name, 'application/spdx+json');
  assert.deepEqual(others, []);
  await ok('attach', plain, found, '--artifact-type', 'application/vnd.signature', 'signature');
  assert.deepEqual(await sbom(name, 'application/vnd.signature'), [], 'it is of the list of parts, not of the app');
  await ok('cp', ...bothPlain, '-r', name, copy);
  await ok('cp', '--from-plain-http', '-r', name, '--to-oci-layout', 'layout:1');
  await ok('cp', '--to-plain-http', '-r', '--from-oci-layout', 'layout:1', back);
  for (const each of [copy, back]) {
    const [part = ''] = await sbom(each, 'application/spdx+json');
    assert.equal(part.split('@')[1], found.split('@')[1]);
    assert.equal((await sbom(part, 'application/vnd.signature')).length, 1);
  }
});
