/** The log drivers that send messages elsewhere, against servers of the test's own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { createServer as createSecureServer } from 'node:tls';
import { temporaryFolder } from '#testing';
import { containerSetup, daemonWords, lines, until } from './containers-fixture.ts';

const numbered = (last: number) => Array.from({ length: last }, (_, at) => `line ${at + 1}`);
const counting = (last: number) => `i=0; while [ $i -lt ${last} ]; do i=$((i+1)); echo line $i; usleep 1000; done`;
const begin = 'failed to create task for container: failed to initialize logging driver: ';
const opts = (options: Readonly<Record<string, string>>) =>
  Object.entries(options).flatMap(([name, value]) => ['--log-opt', `${name}=${value}`]);
const syslog = (address: string, options: Readonly<Record<string, string>> = {}) => [
  ...['--log-driver', 'syslog'],
  ...opts({ ...(address === '' ? {} : { 'syslog-address': address }), ...options }),
];
const told = (message: string) => message.slice(message.indexOf(': ') + 2);

const senderOf = (message: string) => /\[(\d+)\]: /.exec(message)![1];

/** The words of messages, less what a daemon sent again because the one before was killed when it had sent it and not yet written that down. */
function withoutResent(messages: readonly string[]): string[] {
  const taken: string[] = [];
  let previous: string | undefined;
  for (const message of messages) {
    const sender = senderOf(message);
    const isFirst = sender !== previous;
    previous = sender;
    // One write is what can be in doubt.
    const again = isFirst ? taken.lastIndexOf(told(message)) : -1;
    if (again >= 0) {
      assert.ok(taken.length - again <= 64, `${taken.length - again} messages were sent again`);
      taken.length = again;
    }
    taken.push(told(message));
  }
  return taken;
}

/** A stream server that keeps what it is told. */
class StreamServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  text = '';

  constructor(server: Server = createServer(), event = 'connection') {
    this.#server = server;
    server.on(event, (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('data', (data) => {
        this.text += data.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(where: ListenOptions): Promise<number> {
    this.#server.listen(where);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  get lines(): string[] {
    return lines(this.text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** Datagrams of a socket in the file system, which Node cannot listen to, each behind its length. */
async function listenDatagrams(path: string): Promise<Disposable & { datagrams(): string[] }> {
  const script = `use Socket; $| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, sockaddr_un($ARGV[0])) or die;
    while (defined(recv(S, $b, 100000, 0))) { print pack('N', length $b), $b }`;
  const child = spawn('perl', ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let bytes = Buffer.alloc(0);
  child.stdout.on('data', (data: Buffer) => {
    bytes = Buffer.concat([bytes, data]);
  });
  await until(
    async () => existsSync(path),
    (there) => there,
  );
  const datagrams = () => {
    const all: string[] = [];
    for (let at = 0; at + 4 <= bytes.length; at += 4 + bytes.readUInt32BE(at)) {
      all.push(bytes.toString('latin1', at + 4, at + 4 + bytes.readUInt32BE(at)));
    }
    return all;
  };
  return { datagrams, [Symbol.dispose]: () => void child.kill() };
}

test('syslog', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, folder, run } = setup;

  await t.test('each message is a datagram, in the format asked for, with the tag asked for', async () => {
    const server = createSocket('udp4');
    const got: string[] = [];
    server.on('message', (message) => got.push(message.toString()));
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `udp://127.0.0.1:${server.address().port}`;
    const send = async (options: Readonly<Record<string, string>>, script: string, count: number) => {
      got.length = 0;
      const ran = await run(['--name', 'udp', ...syslog(address, options)], ['sh', '-c', script]);
      assert.equal(ran.status, 0, ran.stderr);
      return await until(
        async () => got,
        ({ length }) => length === count,
      );
    };
    const plain = await send({}, 'echo one; echo; printf two', 2);
    assert.match(plain[0]!, /^<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [0-9a-f]{12}\[\d+\]: one\n$/);
    assert.match(plain[1]!, /: two\n$/);
    const tagged = { 'syslog-format': 'rfc5424micro', 'syslog-facility': 'local0', tag: '{{.Name}}/{{.ImageName}}' };
    const [error] = await send(tagged, 'echo oops >&2', 1);
    assert.match(error!, /^<131>1 \d{4}-[\d-]+T[\d:]+\.\d{6}\S+ \S+ udp\/base \d+ udp\/base - oops\n$/);
    const long = await send({ tag: 't' }, 'head -c 20000 /dev/zero | tr "\\0" a; echo', 2);
    assert.deepEqual(
      long.map((message) => told(message).length),
      [16 * 1024 + 1, 20_000 - 16 * 1024 + 1],
    );
    server.close();
  });

  await t.test('what was sent can be read here as well, unless nothing is to be kept', async () => {
    await using server = new StreamServer();
    const address = `tcp://127.0.0.1:${await server.listen({ port: 0, host: '127.0.0.1' })}`;
    const labels = ['--label', 'a=b', '--log-opt', 'labels=a'];
    await docker.ok('run', '--name', 'kept', ...syslog(address), ...labels, 'base', 'echo', 'hi');
    assert.equal(await docker.ok('logs', 'kept'), 'hi\n');
    assert.match(server.text, /^<30>.*: hi\n$/);
    await docker.ok('run', '--name', 'unkept', ...syslog(address, { 'cache-disabled': 'true' }), 'base', 'echo', 'hi');
    const { status, stderr } = await docker.run(['logs', 'unkept']);
    assert.notEqual(status, 0);
    assert.match(stderr, /configured logging driver does not support reading/);
    await docker.ok('start', 'kept');
    await docker.ok('wait', 'kept');
    assert.deepEqual(server.lines.map(told), ['hi', 'hi', 'hi']);
    await docker.ok('rm', 'kept', 'unkept');
  });

  await t.test(
    'no message is lost when the daemon is killed and the log is rotated, and none doubled by what lives',
    async () => {
      await using server = new StreamServer();
      const address = `tcp://127.0.0.1:${await server.listen({ port: 0, host: '127.0.0.1' })}`;
      const limited = { 'cache-max-size': '5k', 'cache-max-file': '200' };
      await docker.ok('run', '-d', '--name', 'killed', ...syslog(address, limited), 'base', 'sh', '-c', counting(2500));
      for (let kills = 0; kills < 3; kills++) {
        await wait(400);
        await daemon.kill();
        await wait(200);
        await daemon.start();
      }
      await docker.ok('wait', 'killed');
      const sent = await until(
        async () => server.lines,
        (all) => all.at(-1)?.endsWith(': line 2500') === true,
      );
      assert.deepEqual(withoutResent(sent), numbered(2500));
      await docker.ok('rm', 'killed');
    },
  );

  await t.test('a server that goes is waited for', async () => {
    const first = new StreamServer();
    const port = await first.listen({ port: 0, host: '127.0.0.1' });
    const flags = syslog(`tcp://127.0.0.1:${port}`);
    const script = 'echo before; while [ ! -e /go ]; do usleep 10000; done; echo after';
    await docker.ok('run', '-d', '--name', 'waits', ...flags, 'base', 'sh', '-c', script);
    await until(
      async () => first.lines,
      ({ length }) => length === 1,
    );
    await first[Symbol.asyncDispose]();
    await docker.ok('exec', 'waits', 'touch', '/go');
    await docker.ok('wait', 'waits');
    assert.deepEqual(lines(await docker.ok('logs', 'waits')), ['before', 'after']);
    await using second = new StreamServer();
    await second.listen({ port, host: '127.0.0.1' });
    const late = await until(
      async () => second.lines,
      ({ length }) => length > 0,
    );
    assert.deepEqual(late.map(told), ['after']);
    await docker.ok('rm', 'waits');
  });

  await t.test('a server that reads nothing holds up neither containers nor the daemon’s end', async () => {
    const deaf = createServer((socket) => socket.pause().on('error', () => {}));
    deaf.listen(0, '127.0.0.1');
    await once(deaf, 'listening');
    const flags = syslog(`tcp://127.0.0.1:${(deaf.address() as AddressInfo).port}`);
    await docker.ok('run', '--name', 'unheard', ...flags, 'base', 'sh', '-c', 'yes | head -n 400000 >&2');
    assert.equal((await docker.run(['logs', 'unheard'])).stderr.length, 800_000);
    await docker.ok('rm', 'unheard');
    await daemon.stop();
    assert.doesNotMatch(daemon.log, /could not be sent on/, 'it waited for the server');
    await daemon.start();
    deaf.close();
  });

  await t.test('sockets of the file system', async () => {
    await using server = new StreamServer();
    const path = join(folder, 'stream');
    await server.listen({ path });
    assert.equal((await run(syslog(`unix://${path}`, { 'syslog-format': 'rfc3164' }), ['echo', 'hi'])).status, 0);
    assert.match(server.text, /^<30>\S+ +\d+ [\d:]+ \S+ [0-9a-f]{12}\[\d+\]: hi\n$/);
    using datagrams = await listenDatagrams(join(folder, 'datagrams'));
    const flags = syslog(`unixgram://${join(folder, 'datagrams')}`);
    assert.equal((await run(flags, ['sh', '-c', 'echo one; echo two'])).status, 0);
    const got = await until(
      async () => datagrams.datagrams(),
      ({ length }) => length === 2,
    );
    assert.deepEqual(got.map(told), ['one\n', 'two\n']);
  });

  await t.test('TLS, whose certificate is checked', async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
    const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    execFileSync('openssl', [...request, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const secure = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) });
    await using server = new StreamServer(secure, 'secureConnection');
    const port = await server.listen({ port: 0, host: '127.0.0.1' });
    const address = `tcp+tls://localhost:${port}`;
    const refused = await run(syslog(address), ['true']);
    const unknown = 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
    assert.equal(daemonWords(docker, refused), begin + unknown);
    assert.equal((await run(syslog(address, { 'syslog-tls-ca-cert': cert }), ['echo', 'known'])).status, 0);
    const skipping = { 'syslog-tls-skip-verify': 'true', 'syslog-format': 'rfc5424' };
    assert.equal((await run(syslog(address, skipping), ['echo', 'skipped'])).status, 0);
    const byAddress = syslog(`tcp+tls://127.0.0.1:${port}`, { 'syslog-tls-ca-cert': cert });
    assert.equal((await run(byAddress, ['echo', 'by address'])).status, 0);
    const [known, skipped, last] = server.lines;
    assert.equal(told(last!), 'by address');
    assert.equal(told(known!), 'known');
    const [, count, rest] = /^(\d+) (<30>1 .* - skipped)$/.exec(skipped!)!;
    assert.equal(Number(count), rest!.length + 1);
  });

  await t.test('what cannot be is refused in dockerd’s words', async () => {
    const words = async (flags: readonly string[]) => daemonWords(docker, await run(flags, ['true']));
    const udp = (options: Readonly<Record<string, string>>) => words(syslog('udp://127.0.0.1:9', options));
    assert.equal(await udp({ bogus: '1' }), "unknown log opt 'bogus' for syslog log driver");
    assert.equal(await udp({ 'syslog-facility': 'foo' }), 'invalid syslog facility');
    assert.equal(await udp({ 'syslog-format': 'foo' }), 'Invalid syslog format');
    assert.equal(await udp({ 'cache-disabled': 'zz' }), 'invalid value for option cache-disabled: zz');
    assert.equal(await words(syslog('http://a:1')), "unsupported scheme: 'http'");
    assert.equal(await words(syslog('unix:///not/there')), 'stat /not/there: no such file or directory');
    assert.equal(await udp({ tag: '{{.Name' }), `${begin}template: log-tag:1: unclosed action`);
    const field = 'executing "log-tag" at <.Foo>: can\'t evaluate field Foo in type *logger.Info';
    assert.equal(await udp({ tag: '{{.Foo}}' }), `${begin}template: log-tag:1:2: ${field}`);
    assert.equal(await words(syslog('tcp://127.0.0.1:1')), `${begin}dial tcp 127.0.0.1:1: connect: connection refused`);
    const noAuthority = { 'syslog-tls-ca-cert': '/etc/passwd' };
    assert.equal(
      await words(syslog('tcp+tls://127.0.0.1:1', noAuthority)),
      `${begin}failed to append certificates from PEM file: "/etc/passwd"`,
    );
    const pair = { 'syslog-tls-cert': '/not/there', 'syslog-tls-key': '/not/there' };
    assert.equal(
      await words(syslog('tcp+tls://127.0.0.1:1', pair)),
      `${begin}Could not load X509 key pair: open /not/there: no such file or directory`,
    );
    assert.deepEqual(JSON.parse(await docker.ok('info', '-f', '{{json .Plugins.Log}}')), [
      'journald',
      'json-file',
      'local',
      'syslog',
    ]);
  });
});

test('journald', async (t) => {
  await using folder = await temporaryFolder();
  const journal = join(folder.path, 'journal');
  mkdirSync(journal);
  // The daemon sees the test's folder in place of the machine's journal.
  const enter =
    'mount -t tmpfs none /run/systemd && mkdir /run/systemd/journal && mount --bind "$1" /run/systemd/journal && shift && exec "$@"';
  if (process.getuid!() === 0) mkdirSync('/run/systemd', { recursive: true });
  await using setup = await containerSetup(t, [], { within: ['unshare', '--mount', 'sh', '-c', enter, 'sh', journal] });
  if (!setup) return;
  const { docker } = setup;
  const run = (flags: readonly string[], script: string) =>
    docker.run(['run', '--log-driver', 'journald', ...flags, 'base', 'sh', '-c', script]);

  const refused = await run(['--rm'], 'true');
  assert.equal(daemonWords(docker, refused), `${begin}journald is not enabled on this host`);

  using socket = await listenDatagrams(join(journal, 'socket'));
  const flags = ['--name', 'told', '--label', 'com.example=v', '--log-opt', 'labels=com.example', '--log-opt', 'tag=x'];
  const ran = await run(flags, 'echo one; echo two >&2; head -c 20000 /dev/zero | tr "\\0" a; echo');
  assert.equal(ran.status, 0, ran.stderr);
  const got = await until(
    async () => socket.datagrams(),
    ({ length }) => length === 4,
  );
  const id = (await docker.ok('inspect', '-f', '{{.Id}}', 'told')).trim();
  const entries = got.map((entry) => Object.fromEntries(lines(entry).map((line) => line.split('=', 2))));
  const { SYSLOG_TIMESTAMP: time, ...one } = entries.find(({ MESSAGE: text }) => text === 'one')!;
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:]+(\.\d{1,9})?Z$/);
  assert.deepEqual(one, {
    COM_EXAMPLE: 'v',
    CONTAINER_ID: id.slice(0, 12),
    CONTAINER_ID_FULL: id,
    CONTAINER_NAME: 'told',
    CONTAINER_TAG: 'x',
    IMAGE_NAME: 'base',
    MESSAGE: 'one',
    PRIORITY: '6',
    SYSLOG_IDENTIFIER: 'x',
  });
  assert.equal(entries.find(({ MESSAGE: text }) => text === 'two')!['PRIORITY'], '3');
  const parts = entries.filter((entry) => entry['CONTAINER_PARTIAL_ID']);
  assert.deepEqual(
    parts.map((part) => [part['MESSAGE'].length, part['CONTAINER_PARTIAL_ORDINAL'], part['CONTAINER_PARTIAL_LAST']]),
    [
      [16 * 1024, '1', 'false'],
      [20_000 - 16 * 1024, '2', 'true'],
    ],
  );
  assert.equal(await docker.ok('logs', '--tail', '1', 'told'), `${'a'.repeat(20_000 - 16 * 1024)}\n`);
});
