import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { EngineError } from '#errdefs';
import { temporaryFolder } from '#testing';
import type { HandedOver } from '../handed-over.ts';
import { type GitHelp, gitAccess } from './git-access.ts';
import { checkOut, parseGitReference } from './git-source.ts';

const { signal } = new AbortController();

const noSocket: GitHelp['lendSocket'] = () => assert.fail('no socket is wanted');

function handing(secrets: Readonly<Record<string, string>>): GitHelp {
  const secret = async (id: string) => (id in secrets ? Buffer.from(secrets[id]!) : undefined);
  const requireAgent = async () => {
    throw new EngineError('not-found', 'no agent');
  };
  return { handedOver: { secret, requireAgent } as unknown as HandedOver, lendSocket: noSocket };
}

/** What a client with these secrets lets git do at a repository. */
async function access(repository: string, secrets: Readonly<Record<string, string>>) {
  const { env } = await gitAccess(repository, handing(secrets), { signal });
  return Object.keys(env).length === 0 ? undefined : [env['GIT_CONFIG_KEY_0'], env['GIT_CONFIG_VALUE_0']];
}

const basic = (token: string) => `Authorization: basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;

test('a token or a header goes to the server of the repository alone', async () => {
  const url = 'https://git.test:8443/a/b.git';
  const key = 'http.https://git.test:8443/.extraHeader';
  assert.deepEqual(await access(url, { GIT_AUTH_TOKEN: 't\n' }), [key, basic('t')]);
  assert.deepEqual(await access(url, { GIT_AUTH_HEADER: 'Bearer x' }), [key, 'Authorization: Bearer x']);
  assert.deepEqual(await access(url, { GIT_AUTH_HEADER: 'h', GIT_AUTH_TOKEN: 't' }), [key, 'Authorization: h']);
  assert.deepEqual(await access(url, { GIT_AUTH_HEADER: 'h', 'GIT_AUTH_TOKEN.git.test:8443': 'own' }), [
    key,
    basic('own'),
  ]);
  assert.equal(await access(url, { 'GIT_AUTH_TOKEN.other.test': 't' }), undefined);
});

test('nothing is asked for where it would go nowhere', async () => {
  for (const url of ['git@git.test:a/b.git', 'ssh://git.test/a', 'git://git.test/a']) {
    assert.equal(await access(url, { GIT_AUTH_TOKEN: 't' }), undefined, url);
  }
  assert.deepEqual((await gitAccess('https://git.test/a.git', undefined, { signal })).env, {});
});

const skip = spawnSync('git', ['--version']).status === 0 ? false : 'git is not on the PATH';

test('a private repository is checked out with what its client hands over, and refused without', { skip }, async () => {
  await using folder = await temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  makeRepository(at('r'));
  const wanted = basic('let-me-in').replace('Authorization: ', '');
  const server = createServer((request, response) => {
    if (request.headers.authorization !== wanted) return void response.writeHead(401).end();
    const path = at(decodeURIComponent(request.url!.split('?')[0]!));
    const isFile = existsSync(path) && statSync(path).isFile();
    response.writeHead(isFile ? 200 : 404).end(isFile ? readFileSync(path) : '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/r/.git`;
    const tries = (name: string, secrets: Readonly<Record<string, string>>) =>
      checkOut(parseGitReference(url), at(name), { keepGitDir: true, help: handing(secrets), signal });
    const root = await tries('in', { GIT_AUTH_TOKEN: 'let-me-in' });
    assert.equal(readFileSync(join(root, 'file')).toString(), 'private');
    assert.doesNotMatch(readFileSync(join(root, '.git/config')).toString(), /let-me-in|xtraHeader/);
    await assert.rejects(tries('out', {}), /git fetch/);
    await assert.rejects(tries('wrong', { GIT_AUTH_TOKEN: 'no' }), /git fetch/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('over SSH git asks the agent of the client, while it runs', { skip }, async () => {
  await using folder = await temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  // In the place of ssh: what it is asked to run there runs here, if the agent answers.
  writeFileSync(
    at('ssh'),
    `#!/bin/sh
ask='require("net").connect(process.env.SSH_AUTH_SOCK).on("data", (d) => process.stdout.write(d, () => process.exit())).write("hello")'
for command; do :; done
[ "$('${process.execPath}' -e "$ask" < /dev/null)" = "agent: hello" ] || exit 9
exec sh -c "$command"
`,
    { mode: 0o755 },
  );
  makeRepository(at('r'));
  const asked: string[] = [];
  const handedOver = {
    requireAgent: async (id: string) => void asked.push(id),
    connectAgent: async (_id: string, socket: Duplex) => {
      for await (const data of socket) socket.end(`agent: ${data}`);
    },
  } as unknown as HandedOver;
  let isLent = false;
  const lendSocket: GitHelp['lendSocket'] = async (onConnection) => {
    const server = createSocketServer({ allowHalfOpen: true }, onConnection).listen(at('agent'));
    await once(server, 'listening');
    isLent = true;
    return {
      path: at('agent'),
      [Symbol.asyncDispose]: async () => {
        isLent = false;
        server.close();
      },
    };
  };
  const path = process.env['PATH'];
  process.env['PATH'] = `${folder.path}:${path}`;
  try {
    const reference = parseGitReference(`ssh://git@git.test${at('r')}`);
    const options = { keepGitDir: false, help: { handedOver, lendSocket }, signal };
    assert.equal(readFileSync(join(await checkOut(reference, at('out'), options), 'file')).toString(), 'private');
    assert.deepEqual([asked, isLent], [['default'], false]);
  } finally {
    process.env['PATH'] = path;
  }
});

function makeRepository(folder: string): void {
  const env = { ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@y', ...args], { cwd: folder, env, stdio: 'pipe' });
  mkdirSync(folder);
  git('init', '-q', '-b', 'main');
  writeFileSync(join(folder, 'file'), 'private');
  git('add', '.');
  git('commit', '-q', '-m', 'first');
  git('update-server-info');
}
