/** `wherry registry …`: looking after a registry of ours, from the command line, with an account. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import bcrypt from 'bcryptjs';
import { serveRegistry } from '#registry-server';
import { temporaryFolder } from '#testing';
import { home, saveArchive, tarOf } from './images-fixture.ts';

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The client with the credentials of one user. */
async function clientOf(folder: string, user: string, address: string): Promise<(line: string) => Promise<Ran>> {
  const config = join(folder, user);
  await mkdir(config);
  const auth = Buffer.from(`${user}:secret`).toString('base64');
  await writeFile(join(config, 'config.json'), JSON.stringify({ auths: { [address]: { auth } } }));
  const env = { ...process.env, DOCKER_CONFIG: config };
  return (line) =>
    new Promise((resolve) => {
      execFile(join(home, 'bin/wherry'), line.split(' '), { env, cwd: folder }, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
      );
    });
}

test('describe, star, delete and take back, scrub', async () => {
  await using folder = await temporaryFolder();
  const path = (name: string) => join(folder.path, name);
  const password = bcrypt.hashSync('secret', 4);
  await writeFile(path('htpasswd'), `ann:${password}\nbob:${password}\n`);
  const rules = [
    { repositories: ['*'], users: ['ann'], actions: ['pull', 'push', 'delete'] },
    { repositories: ['*'], users: ['bob'], actions: ['pull'] },
  ] as const;
  const access = { htpasswd: path('htpasswd'), rules, useTokens: true, service: 'test', tokenSeconds: 60 };
  await using server = await serveRegistry({ root: path('data'), addr: '127.0.0.1:0', config: { access } });
  const { archive } = saveArchive({ layers: [tarOf({ a: 'one' })], tags: ['app:1'] });
  await writeFile(path('app.tar'), archive);
  await writeFile(path('README'), '# App\n\nIt does.\n');
  const [ann, bob] = [
    await clientOf(folder.path, 'ann', server.address),
    await clientOf(folder.path, 'bob', server.address),
  ];
  const ok = async (line: string, client = ann) => {
    const ran = await client(line);
    assert.equal(ran.status, 0, `${line}: ${ran.stderr}`);
    return ran.stdout;
  };
  const app = `${server.address}/team/app`;
  await ok(`copy docker-archive:app.tar ${app}:1`);

  await ok(`registry describe --description Ours --readme README ${app}`);
  await ok(`registry star ${app}`, bob);
  assert.match(
    await ok(`registry describe ${app}`, bob),
    /^team\/app: Ours\n1 stars, one of them yours; \d+ pulls; pushed \S+Z\n\n# App\n\nIt does\.\n$/,
  );
  await ok(`registry star --remove ${app}`, bob);
  const { stars, description } = JSON.parse(await ok(`registry describe --json ${app}`)) as Record<string, unknown>;
  assert.deepEqual([stars, description], [0, 'Ours']);
  const refused = await bob(`registry describe --description Mine ${app}`);
  assert.deepEqual([refused.status, refused.stderr.includes('credentials from')], [1, true], refused.stderr);

  await ok(`delete ${app}:1`);
  assert.match(
    await ok(`registry deleted ${server.address}`),
    /^REPOSITORY +KIND +REFERENCE +RESTORABLE UNTIL\nteam\/app +tag +1 +\S+Z\n$/,
  );
  assert.equal(await ok(`registry deleted --json ${app}`, bob), '[]\n', 'nothing that he may take back');
  assert.equal(await ok(`registry restore ${app}:1`), `Restored: ${app}:1\n`);
  assert.equal(await ok(`tags ${app}`), '1\n');
  const again = await ann(`registry restore ${app}:1`);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /restore \S+: there is no deleted tag 1 to take back/);

  assert.match(await ok(`registry scrub ${server.address}`), /^2 blobs of \S+: all right\n$/);
  const [blob] = await readdir(path('data/blobs/sha256'));
  await appendFile(path(`data/blobs/sha256/${blob}`), 'x');
  const hurt = await ann(`registry scrub ${server.address}`);
  assert.equal(hurt.status, 1);
  assert.match(
    hurt.stdout,
    new RegExp(`^2 blobs of \\S+: 1 hurt\nsha256:${blob} is damaged\n {2}team/app@sha256:\\S+ \\(1\\)\n$`),
  );
  assert.equal((await bob(`registry scrub ${server.address}`)).status, 1);
});
