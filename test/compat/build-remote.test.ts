/** What a build and an import take from elsewhere: files by URL, git repositories, images as caches. Answers of dockerd 28.5.2, flags of BuildKit 0.25. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { apiOf } from './api-fixture.ts';
import { type Builds, withBuilds } from './build-fixture.ts';
import { lines } from './containers-fixture.ts';
import { tarOf } from './images-fixture.ts';

const digest = '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03';

interface Web extends Builds {
  readonly url: string;
  /** What the server was asked for. */
  readonly asked: string[];
}

/** With a server on loopback: `f.txt` of 2020, archives, a Dockerfile, a redirect, a git repository. */
async function withWeb(
  t: TestContext,
  work: (web: Web) => Promise<void>,
  options: Parameters<typeof withBuilds>[2] = {},
): Promise<void> {
  await withBuilds(
    t,
    async (builds) => {
      const asked: string[] = [];
      const repository = join(builds.folder, 'repository');
      if (hasGit) makeRepository(repository);
      const context = tarOf({ Dockerfile: 'FROM base\nCOPY f.txt /x\n', 'f.txt': 'in the archive' });
      const files: Readonly<Record<string, Buffer>> = {
        '/f.txt': Buffer.from('hello\n'),
        '/t.tar': tarOf({ 'in/a': 'a' }),
        '/context.tar.gz': gzipSync(context),
        '/Dockerfile': Buffer.from('FROM base\nRUN echo alone\n'),
        '/page': Buffer.from('<html>'),
        '/': Buffer.from('no name'),
      };
      const server = createServer((request, response) => {
        const path = decodeURIComponent(request.url!.split('?')[0]!);
        asked.push(path);
        if (path === '/moved') return void response.writeHead(302, { location: '/f.txt' }).end();
        const onDisk = join(builds.folder, path);
        const isGit = path.startsWith('/repository/.git/') && existsSync(onDisk);
        const body = files[path] ?? (isGit ? readFileSync(onDisk) : undefined);
        if (!body) return void response.writeHead(404, 'Not Found').end('nothing here');
        const type = path === '/page' ? 'text/html' : 'text/plain';
        response.writeHead(200, { 'content-type': type, 'last-modified': 'Thu, 02 Jan 2020 03:04:05 GMT' }).end(body);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      try {
        await work({ ...builds, asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    },
    options,
  );
}

const hasGit = spawnSync('git', ['--version']).status === 0;
const gitOnly = { skip: hasGit ? false : 'git is not on the PATH' };

/** Two commits, a tag on the first; served as plain files, which knows no shallow clones. */
function makeRepository(folder: string): void {
  const env = { ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@y', ...args], { cwd: folder, env, stdio: 'pipe' });
  mkdirSync(join(folder, 'sub'), { recursive: true });
  git('init', '-q', '-b', 'main');
  writeFileSync(join(folder, 'sub/file'), 'first');
  writeFileSync(join(folder, 'Dockerfile'), 'FROM base\nCOPY sub/file /x\nRUN echo "> $(cat /x)"\n');
  writeFileSync(join(folder, 'Dockerfile.all'), 'FROM base\nCOPY . /all\n');
  git('add', '.');
  git('commit', '-q', '-m', 'first');
  git('tag', 'v1');
  writeFileSync(join(folder, 'sub/file'), 'second');
  git('commit', '-q', '-a', '-m', 'second');
  git('update-server-info');
}

const outputOf = (stdout: string): string[] => lines(stdout).filter((line) => line.startsWith('> '));

test('ADD of URLs: names, modes, times, owners, archives, checksums, history and cache', (t) =>
  withWeb(t, async ({ build, docker, url }) => {
    const shown = (...paths: string[]) =>
      `RUN for f in ${paths.join(' ')}; do echo "> $(stat -c "%a %u %g %s %Y %n" $f)"; done`;
    const files = {
      local: 'x',
      'a.tar': tarOf({ 'in/a': 'a' }),
      Dockerfile: [
        'FROM base',
        `ADD ${url}/f.txt /a`,
        `ADD ${url}/f.txt /b/`,
        `ADD --chown=5:6 --chmod=u+x ${url}/f.txt?x=1 local /c/`,
        `ADD ${url}/t.tar /d/`,
        `ADD --unpack ${url}/t.tar /e/`,
        'ADD --unpack=false a.tar /g/',
        `ADD --checksum=sha256:${digest} ${url}/moved /h`,
        shown('/a', '/b/*', '/c/f.txt', '/d/*', '/e/in/a', '/g/*', '/h'),
      ].join('\n'),
    };
    const built = await build(files, '-t', 'added');
    assert.equal(built.status, 0, built.stderr);
    const time = Date.parse('2020-01-02T03:04:05Z') / 1000;
    const found = outputOf(built.stdout);
    assert.deepEqual(found.slice(0, 3), [
      `> 600 0 0 6 ${time} /a`,
      `> 600 0 0 6 ${time} /b/f.txt`,
      `> 700 5 6 6 ${time} /c/f.txt`,
    ]);
    assert.match(found[3]!, new RegExp(`^> 600 0 0 \\d+ ${time} /d/t.tar$`));
    assert.match(found[4]!, /^> \d+ 0 0 1 \d+ \/e\/in\/a$/);
    assert.match(found[5]!, /\/g\/a\.tar$/);
    assert.equal(found[6], `> 600 0 0 6 ${time} /h`);
    const history = lines(await docker.ok('history', '--no-trunc', '--format', '{{.CreatedBy}}', 'added'));
    const hash = '5420c2601988982c2fcb08b1664cd348b69b4143d9405aa0fc6817e2faa9873d';
    assert.equal(history.at(-1), `/bin/sh -c #(nop) ADD ${hash} in /a `, 'as dockerd hashes it');
    const again = await build(files);
    assert.equal(again.stdout.match(/Using cache/g)?.length, 8, again.stdout);
  }));

test('files of a git repository come out the same, whatever the mask of the daemon and the hour', gitOnly, (t) =>
  withWeb(
    t,
    async ({ docker, build, url }) => {
      const Dockerfile = `FROM base\nADD ${url}/repository/.git /r\nRUN stat -c '> %a %Y' /r /r/sub /r/sub/file\n`;
      const first = await build({ Dockerfile }, '-t', 'first', '--no-cache');
      const created = Date.parse((await docker.ok('inspect', '-f', '{{.Created}}', 'base')).trim());
      const sec = Math.floor(created / 1000);
      assert.deepEqual(outputOf(first.stdout), [`> 755 ${sec}`, `> 755 ${sec}`, `> 644 ${sec}`], first.stderr);
      await wait(1100);
      await build({ Dockerfile }, '-t', 'second', '--no-cache');
      const [one, other] = lines(await docker.ok('inspect', '-f', '{{.Id}}', 'first', 'second'));
      assert.equal(one, other);
    },
    { within: ['/bin/sh', '-c', 'umask 077; exec "$@"', 'sh'] },
  ),
);

test('ADD of git repositories: branches, tags, commits, folders', gitOnly, (t) =>
  withWeb(t, async ({ build, url }) => {
    const repository = `${url}/repository/.git`;
    const Dockerfile = [
      'FROM base',
      `ADD ${repository} /head`,
      `ADD ${repository}#v1 /tag`,
      `ADD --keep-git-dir=true ${repository}#main:sub /sub`,
      `ADD --keep-git-dir=true ${repository} /kept`,
      'RUN echo "> $(cat /head/sub/file /tag/sub/file /sub/file) $(ls -d /head/.git /kept/.git 2>/dev/null)"',
    ].join('\n');
    const built = await build({ Dockerfile });
    assert.equal(built.status, 0, built.stderr);
    assert.deepEqual(outputOf(built.stdout), ['> secondfirstsecond /kept/.git']);
    const faults: readonly (readonly [string, RegExp])[] = [
      [`${repository}#nosuch /x`, /ADD failed: git fetch: .*nosuch/],
      [`--checksum=0123456789 ${repository} /x`, /expected checksum to match 0123456789, got [0-9a-f]{40}/],
      [`${url}/nosuch.git /x`, /ADD failed: git fetch: /],
    ];
    for (const [text, words] of faults)
      assert.match((await build({ Dockerfile: `FROM base\nADD ${text}\n` })).stderr, words);
  }),
);

test('ADD of what cannot be had', (t) =>
  withWeb(t, async ({ build, docker, url }) => {
    const faults: readonly (readonly [string, RegExp])[] = [
      [`ADD ${url}/nosuch /a`, /ADD failed: failed to GET .*\/nosuch with status 404 Not Found: nothing here/],
      [`ADD ${url}/ /a/`, /ADD failed: cannot determine filename for source http:/],
      [
        'ADD http://127.0.0.1:1/x /a',
        /ADD failed: Get "http:\/\/127\.0\.0\.1:1\/x": dial tcp 127\.0\.0\.1:1: connect: connection refused/,
      ],
      [`ADD ${url}/f.txt ${url}/t.tar /a`, /the destination must be a directory and end with a \//],
      [`COPY ${url}/f.txt /a`, /COPY failed: source can't be a URL for COPY/],
      ['ADD ftp://x/y /a', /stat ftp:\/\/x\/y: file does not exist/],
      [`ADD --checksum=sha256:${digest} local /a`, /checksum requires HTTP\(S\) or Git sources/],
      [
        `ADD --checksum=sha256:${digest} ${url}/f.txt ${url}/t.tar /a/`,
        /checksum can't be specified for multiple sources/,
      ],
      [`ADD --checksum=md5:aa ${url}/f.txt /a`, /unsupported digest algorithm/],
      [
        `ADD --checksum=sha256:${digest} ${url}/t.tar /a`,
        new RegExp(`digest mismatch sha256:[0-9a-f]{64}: sha256:${digest}`),
      ],
    ];
    for (const [line, words] of faults) {
      const failed = await build({ local: 'x', Dockerfile: `FROM base\n${line}\n` });
      assert.notEqual(failed.status, 0, line);
      assert.match(failed.stderr, words);
    }
    assert.equal(await docker.ok('images', '-aq', '-f', 'dangling=true'), '');
  }));

test('a context by URL: an archive, a lone Dockerfile, a repository; and what is none', (t) =>
  withWeb(t, async ({ docker, daemon, url }) => {
    const api = apiOf(daemon.host);
    const ask = async (remote: string) => {
      const { text, status } = await api('POST', `/v1.51/build?remote=${encodeURIComponent(remote)}&t=made`);
      return `${text}${status}`;
    };
    assert.match(await ask(`${url}/context.tar.gz`), /"id":"Downloading context".*Successfully tagged made:latest/s);
    assert.equal(await docker.ok('run', '--rm', 'made', 'cat', '/x'), 'in the archive');
    assert.match(await ask(`${url}/Dockerfile`), /alone\\n.*Successfully built/s);
    if (hasGit) assert.match(await ask(`${url}/repository/.git#v1`), /u003e first\\n.*Successfully built/s);
    assert.match(
      await ask(`${url}/page`),
      /error detecting content type for remote .*unsupported Content-Type \\"text\/html\\"/,
    );
    assert.match(await ask(`${url}/nosuch`), /"error downloading remote context .*status 404.*404$/s);
    assert.match(await ask('nothing'), /"remoteURL \(nothing\) could not be recognized as URL".*500$/s);
  }));

test(
  'a repository as a context: the classic builder keeps its .git, BuildKit drops it unless it is asked for',
  gitOnly,
  (t) =>
    withWeb(t, async ({ docker, daemon, url }) => {
      const api = apiOf(daemon.host);
      const remote = encodeURIComponent(`${url}/repository/.git`);
      const kept = async (query: string) => {
        const path = `/v1.51/build?remote=${remote}&dockerfile=Dockerfile.all&t=all&networkmode=none${query}`;
        const { text } = await api('POST', path);
        assert.match(text, /moby\.image\.id|Successfully tagged/, text);
        return (await docker.ok('run', '--rm', '--network=none', 'all', 'ls', '-A', '/all')).includes('.git');
      };
      const wish = (value: string) =>
        `&buildargs=${encodeURIComponent(`{"BUILDKIT_CONTEXT_KEEP_GIT_DIR":"${value}"}`)}`;
      assert.equal(await kept(''), true);
      assert.equal(await kept('&version=2'), false);
      assert.equal(await kept(`&version=2${wish('1')}`), true);
      assert.equal(await kept(`&version=2${wish('0')}`), false);
    }),
);

test('import from a URL', (t) =>
  withWeb(t, async ({ docker, url }) => {
    const said = await docker.ok('import', `${url}/t.tar`, 'imported');
    assert.match(said, new RegExp(`Downloading from ${url}/t.tar\n(Importing.*\n)?sha256:`));
    const comment = await docker.ok('history', '--format', '{{.Comment}}', 'imported');
    assert.equal(comment.trim(), `Imported from ${url}/t.tar`);
    const failed = await docker.run(['import', `${url}/nosuch`]);
    assert.match(failed.stderr, /failed to GET .* with status 404/);
  }));

test('--cache-from: steps of an image that was built elsewhere', (t) =>
  withBuilds(t, async ({ build, docker, folder }) => {
    const files = { f: 'x', Dockerfile: 'FROM base\nENV A=1\nRUN echo built > /made\nCOPY f /f\nCMD ["last"]\n' };
    await build(files, '-t', 'first');
    const id = (await docker.ok('inspect', '-f', '{{.Id}}', 'first')).trim();
    await docker.ok('save', '-o', join(folder, 'first.tar'), 'first');
    await docker.ok('rmi', 'first');
    await docker.ok('builder', 'prune', '-af');
    await docker.ok('load', '-i', join(folder, 'first.tar'));

    const without = await build(files, '-t', 'other');
    assert.doesNotMatch(without.stdout, /Using cache/);
    await docker.ok('rmi', 'other');
    await docker.ok('builder', 'prune', '-af');
    const cached = await build(files, '-t', 'second', '--cache-from', 'nosuch', '--cache-from', 'first');
    assert.equal(cached.stdout.match(/Using cache/g)?.length, 4, cached.stdout);
    assert.equal((await docker.ok('inspect', '-f', '{{.Id}}', 'second')).trim(), id);
    const changed = await build({ ...files, f: 'y' }, '--cache-from', 'first', '--no-cache');
    assert.doesNotMatch(changed.stdout, /Using cache/);
    const partly = await build({ ...files, f: 'z' }, '--cache-from', 'first');
    assert.equal(partly.stdout.match(/Using cache/g)?.length, 2, partly.stdout);
  }));

test('limits and a control group of every step', (t) =>
  withBuilds(t, async ({ build }) => {
    const Dockerfile = 'FROM base\nRUN echo "> $(ulimit -n) $(ulimit -Hn)"; echo "> $(head -1 /proc/self/cgroup)"\n';
    const built = await build({ Dockerfile }, '--ulimit', 'nofile=100:200', '--cgroup-parent', '/wherry-test');
    const [limits, group] = outputOf(built.stdout);
    assert.equal(limits, '> 100 200', built.stderr);
    assert.match(group!, /:\/wherry-test\/[0-9a-f]{64}/);
    const refused = await build({ Dockerfile }, '--security-opt', 'seccomp=unconfined');
    assert.match(refused.stderr, /security options are not supported on linux/);
  }));
