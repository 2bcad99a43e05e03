/** `login`, `logout` and what they leave in `config.json`, with credential helpers that are shell scripts. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import type { Terminal } from './command.ts';
import { credentialsFor } from './credentials/index.ts';
import { runCli } from './main.ts';

interface Desk extends AsyncDisposable {
  readonly server: string;
  readonly environment: Record<string, string>;
  run(line: string, input?: string): Promise<{ status: number; stdout: string; stderr: string }>;
  config(): Promise<Record<string, unknown>>;
  setConfig(value: unknown): Promise<void>;
  /** Installs a helper that keeps secrets in files; `isBroken` cannot list, as a `pass` without a key. */
  helper(name: string, options?: { isBroken?: boolean }): Promise<void>;
}

async function desk(): Promise<Desk> {
  const folder = await temporaryFolder();
  const wanted = `Basic ${Buffer.from('ada:secret').toString('base64')}`;
  const registry = createServer((request, response) => {
    const isKnown = request.headers.authorization === wanted;
    response.writeHead(isKnown ? 200 : 401, isKnown ? {} : { 'www-authenticate': 'Basic realm="r"' }).end('{}');
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  const environment = { PATH: `${folder.path}/bin:${process.env['PATH']}`, DOCKER_CONFIG: join(folder.path, 'config') };
  const path = join(folder.path, 'config/config.json');
  await mkdir(join(folder.path, 'bin'));
  return {
    server: `127.0.0.1:${(registry.address() as AddressInfo).port}`,
    environment,
    run: async (line, input = '') => {
      const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
      streams.stdin.end(input);
      const status = await runCli(line.split(' '), streams as unknown as Terminal, environment);
      const read = async (stream: PassThrough) => Buffer.concat(await Array.fromAsync(stream.end())).toString('utf8');
      return { status, stdout: await read(streams.stdout), stderr: await read(streams.stderr) };
    },
    config: async () => JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>,
    setConfig: async (value) => {
      await mkdir(join(folder.path, 'config'), { recursive: true });
      await writeFile(path, JSON.stringify(value));
    },
    helper: async (name, { isBroken = false } = {}) => {
      const kept = join(folder.path, `kept-${name}`);
      await mkdir(kept);
      const script = `#!/bin/sh
cd ${kept}
case $1 in
list) ${isBroken ? 'exit 1' : 'echo "{}"'};;
store) input=$(cat); name=$(printf %s "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/' | tr / _); printf %s "$input" >"$name";;
get) name=$(tr / _); [ -f "$name" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$name";;
erase) rm -f "$(tr / _)";;
esac
`;
      await writeFile(join(folder.path, 'bin', `docker-credential-${name}`), script);
      await chmod(join(folder.path, 'bin', `docker-credential-${name}`), 0o755);
    },
    [Symbol.asyncDispose]: async () => {
      registry.closeAllConnections();
      registry.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test('without a helper the file keeps the credentials, for its owner, with a warning', async () => {
  await using at = await desk();
  await at.setConfig({ auths: { 'other.example': { auth: 'eDp5' } }, detachKeys: 'ctrl-e,e' });
  const ran = await at.run(`login -u ada --password-stdin ${at.server}`, 'secret\n');
  assert.deepEqual([ran.status, ran.stdout], [0, 'Login Succeeded\n'], ran.stderr);
  assert.match(ran.stderr, /WARNING! Your credentials are stored unencrypted in '\S+config\.json'/);
  const auth = Buffer.from('ada:secret').toString('base64');
  assert.deepEqual(await at.config(), {
    auths: { 'other.example': { auth: 'eDp5' }, [at.server]: { auth } },
    detachKeys: 'ctrl-e,e',
  });
  const { mode } = await stat(join(at.environment['DOCKER_CONFIG']!, 'config.json'));
  assert.equal(mode & 0o777, 0o600);
  const again = await at.run(`login ${at.server}`);
  assert.match(
    again.stdout,
    /^Authenticating with existing credentials from \S+ \[Username: ada\]\nLogin Succeeded\n$/,
  );
  const out = await at.run(`logout ${at.server}`);
  assert.equal(out.stdout, `Removing login credentials for ${at.server}\n`);
  assert.deepEqual(((await at.config()) as { auths: object }).auths, { 'other.example': { auth: 'eDp5' } });
});

test('what is wrong is not kept', async () => {
  await using at = await desk();
  const wrong = await at.run(`login -u ada --password-stdin ${at.server}`, 'guess');
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /401 Unauthorized/);
  await assert.rejects(at.config(), { code: 'ENOENT' });
  assert.match((await at.run(`login ${at.server}`)).stderr, /interactive login from a non TTY device/);
  assert.match((await at.run(`login --password-stdin ${at.server}`)).stderr, /Must provide --username/);
});

test('a helper that is installed and works is used, and nothing is in the file', async () => {
  await using at = await desk();
  await at.helper('pass', { isBroken: true });
  await at.helper('secretservice');
  const ran = await at.run(`login -u ada --password-stdin ${at.server}`, 'secret');
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
  assert.deepEqual(await at.config(), { auths: { [at.server]: {} }, credsStore: 'secretservice' });
  const found = await credentialsFor(`${at.server}/team/app`, at.environment);
  assert.deepEqual([found.username, found.password], ['ada', 'secret']);
  await at.run(`logout ${at.server}`);
  assert.deepEqual(await credentialsFor(`${at.server}/team/app`, at.environment), {});
  const plain = await at.run(`login --plain-text -u ada --password-stdin ${at.server}`, 'secret');
  assert.equal(plain.stderr, '', 'a configured store is not passed by');
});

test('a helper beside credentials in the file is asked for its own host alone', async () => {
  await using at = await desk();
  await at.helper('secretservice');
  await at.setConfig({ auths: { 'other.example': { auth: Buffer.from('x:y').toString('base64') } } });
  await at.run(`login -u ada --password-stdin ${at.server}`, 'secret');
  assert.deepEqual((await at.config())['credHelpers'], { [at.server]: 'secretservice' });
  assert.equal((await credentialsFor('other.example/app', at.environment)).username, 'x');
  assert.equal((await credentialsFor(`${at.server}/app`, at.environment)).username, 'ada');
});

test('credentials may be of a part of a registry, and those of Docker Hub go by all its names', async () => {
  await using at = await desk();
  const entry = (name: string) => ({ auth: Buffer.from(`${name}:p`).toString('base64') });
  await at.setConfig({
    auths: {
      'r.example': entry('all'),
      'https://r.example/team/': entry('team'),
      'r.example/team/app': entry('app'),
      'registry-1.docker.io': entry('hub'),
    },
  });
  const who = async (name: string) => (await credentialsFor(name, at.environment)).username;
  assert.equal(await who('r.example/team/app:1'), 'app');
  assert.equal(await who('r.example/team/apple'), 'team');
  assert.equal(await who('r.example/teams/app'), 'all');
  assert.equal(await who('busybox'), 'hub');
  assert.equal(await who('index.docker.io/library/busybox'), 'hub');
  assert.equal(await who('elsewhere.example/a'), undefined);
  const ran = await at.run(`login -u ada --password-stdin ${at.server}/team`, 'secret');
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(await who(`${at.server}/team/app`), 'ada');
  assert.equal(await who(`${at.server}/app`), undefined);
});

test('a refusal says which registry, which scope, and whose credentials', async () => {
  await using at = await desk();
  const ran = await at.run(`tags ${at.server}/team/app`);
  assert.equal(ran.status, 1);
  const facts = `registry ${at.server}, scope repository:team/app:pull, credentials from none`;
  assert.ok(ran.stderr.endsWith(`(${facts})\n`), ran.stderr);
  const search = await at.run(`search ${at.server}/app`);
  const expected = `(registry ${at.server}, scope registry:catalog:search, credentials from none)\n`;
  assert.equal(search.stderr, `Unexpected status code 401\n${expected}`);
});
