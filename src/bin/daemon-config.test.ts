import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { type DaemonConfig, readInvocation } from './daemon-config.ts';
import { parseFlags, UsageError, usage } from './daemon-flags.ts';

async function config(args: readonly string[], file = '{}'): Promise<DaemonConfig> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'd.json');
  await writeFile(path, file);
  const invocation = await readInvocation(['--config-file', path, ...args]).catch((error: Error) => {
    error.message = error.message.replace(path, 'FILE');
    throw error;
  });
  assert.ok('config' in invocation);
  return invocation.config;
}

const unusable = (fact: string) => ({ message: `unable to configure the daemon with file FILE: ${fact}` });

test('the format of the log', async () => {
  assert.equal((await config([])).logFormat, 'text');
  assert.equal((await config([], '{"log-format":"json"}')).logFormat, 'json');
  await assert.rejects(config(['--log-format', 'x']), { message: 'invalid log format: x' });
});

test('builds are dated to their base unless the daemon is told otherwise', async () => {
  assert.equal((await config([])).reproducibleBuilds, true);
  assert.equal((await config(['--reproducible-builds=false'])).reproducibleBuilds, false);
  assert.equal((await config([], '{"reproducible-builds":false}')).reproducibleBuilds, false);
});

test('addresses of the default bridge, and what networks have that do not say otherwise', async () => {
  const option = 'com.docker.network.driver.mtu';
  const got = await config([
    ...['--ipv6', '--bip6', 'fd00:7::5/64', '--default-gateway-v6', 'fd00:7::9', '--fixed-cidr', '10.5.1.0/24'],
    ...[
      '--default-gateway',
      '10.5.1.9',
      '--allow-direct-routing',
      '--host-gateway-ip=1.2.3.4',
      '--host-gateway-ip=fd00::4',
    ],
    ...['--default-network-opt', `bridge=${option}=1400`, '--default-network-opt', 'bridge=a=b=c'],
  ]);
  const { bip6, fixedCIDR, defaultGateway, defaultGateway6, allowDirectRouting, hostGateways } = got;
  assert.deepEqual(
    [bip6, fixedCIDR, defaultGateway, defaultGateway6, allowDirectRouting, hostGateways],
    ['fd00:7::5/64', '10.5.1.0/24', '10.5.1.9', 'fd00:7::9', true, ['1.2.3.4', 'fd00::4']],
  );
  assert.deepEqual(got.defaultNetworkOptions, { bridge: { [option]: '1400', a: 'b=c' } });
  const fromFile = await config([], JSON.stringify({ 'default-network-opts': { macvlan: { parent: 'eth0' } } }));
  assert.deepEqual(fromFile.defaultNetworkOptions, { macvlan: { parent: 'eth0' } });
  for (const bad of ['x', 'bridge=x']) {
    await assert.rejects(config(['--default-network-opt', bad]), {
      message: `invalid argument "${bad}" for "--default-network-opt" flag: invalid value "${bad}" for map option, should be root-key=key=value`,
    });
  }
  await assert.rejects(config(['--host-gateway-ip=1.2.3.4', '--host-gateway-ip=1.2.3.5']), {
    message: 'only one IPv4 host gateway IP address can be specified',
  });
  await assert.rejects(config(['--bip6', 'fd00::1/64']), /set ipv6 as well/);
});

test('flags in every spelling', async () => {
  const got = await config([
    '-H',
    'unix:///a.sock',
    '-Htcp://127.0.0.1:5',
    '--host=tcp://h',
    '-Dl',
    'warn',
    '--data-root=/d',
    '--mtu',
    '1400',
    '--dns',
    '1.1.1.1',
    '--dns=2.2.2.2',
    '--iptables=false',
    '--icc=false',
    '--ip-masq=false',
    '--ip=127.0.0.1',
    '--default-bind',
    '127.0.0.2',
    '--live-restore',
    '--bip',
    '10.0.0.1/24',
    '--default-address-pool',
    'base=10.1.0.0/16,size=24',
    '--add-runtime',
    'x=/bin/x',
    '--default-runtime=x',
    '-G',
    'g',
    '--max-concurrent-downloads=0',
    '--label',
    'a=b',
    '--mtu=1300',
  ]);
  assert.deepEqual(got.hosts, [
    { kind: 'unix', path: '/a.sock', group: 'g' },
    { kind: 'tcp', host: '127.0.0.1', port: 5 },
    { kind: 'tcp', host: 'h', port: 2375 },
  ]);
  assert.deepEqual(
    [
      got.dataRoot,
      got.mtu,
      got.dns,
      got.iptables,
      got.icc,
      got.ipMasq,
      got.ip,
      got.defaultBind,
      got.liveRestore,
      got.bip,
      got.addressPools,
      got.runtimePath,
      got.logLevel,
    ],
    [
      '/d',
      1300,
      ['1.1.1.1', '2.2.2.2'],
      false,
      false,
      false,
      '127.0.0.1',
      '127.0.0.2',
      true,
      '10.0.0.1/24',
      [{ base: '10.1.0.0/16', size: 24 }],
      '/bin/x',
      'debug',
    ],
  );
  assert.equal(got.maxConcurrentDownloads, 3);
});

test('defaults', async () => {
  const got = await config([]);
  assert.deepEqual(got.hosts, [{ kind: 'unix', path: '/run/wherry.sock', group: 'docker' }]);
  assert.equal(got.dataRoot, '/var/lib/wherry');
  assert.equal(got.tls, undefined);
  assert.equal(got.storageDriver, undefined);
  assert.equal(got.shutdownTimeoutSeconds, 15);
  assert.deepEqual(await config([], ''), got);
});

test('help, version, verify and validate', async () => {
  assert.deepEqual(await readInvocation(['--help', '--config-file=/nonexistent']), { kind: 'help' });
  assert.deepEqual(await readInvocation(['-v']), { kind: 'version' });
  assert.equal((await readInvocation(['verify', '--data-root', '/x'])).kind, 'verify');
  assert.equal((await readInvocation(['--validate'])).kind, 'validate');
  for (const flag of ['--data-root string', '-H, --host list', '-D, --debug ', '--tlsverify'])
    assert.ok(usage().includes(flag), flag);
});

test('wrong usage is in the words of dockerd', () => {
  const cases: Readonly<Record<string, string>> = {
    '--nope': 'unknown flag: --nope',
    '-zq': "unknown shorthand flag: 'z' in -zq",
    '--mtu': 'flag needs an argument: --mtu',
    '-H': "flag needs an argument: 'H' in -H",
    '--mtu=x': 'invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax',
    '--debug=zz': 'invalid argument "zz" for "-D, --debug" flag: strconv.ParseBool: parsing "zz": invalid syntax',
    '-Hftp://x':
      'invalid argument "ftp://x" for "-H, --host" flag: invalid bind address (ftp://x): unsupported proto "ftp"',
    '--add-runtime=x': 'invalid argument "x" for "--add-runtime" flag: invalid runtime argument: x',
    '--dns=zz': 'invalid argument "zz" for "--dns" flag: invalid string being converted to IP address: zz',
    '--default-address-pool=zz=1': `invalid argument "zz=1" for "--default-address-pool" flag: unexpected key 'zz' in 'zz=1'`,
    '--registry-mirror=ftp://x': `invalid argument "ftp://x" for "--registry-mirror" flag: invalid mirror: unsupported scheme "ftp" in "ftp://x": must use either 'https://' or 'http://'`,
  };
  for (const [arg, message] of Object.entries(cases)) {
    assert.throws(
      () => parseFlags([arg]),
      (error) => error instanceof UsageError && error.message === message,
      arg,
    );
  }
  assert.deepEqual(parseFlags(['a', '--', '--nope']).positional, ['a', '--nope']);
});

test('extra arguments are refused', async () => {
  await assert.rejects(readInvocation(['extra']), { message: '"wherryd" accepts no arguments.' });
  await assert.rejects(readInvocation(['verify', 'x']), { message: '"wherryd verify" accepts no arguments.' });
});

test('daemon.json fills in what no flag says', async () => {
  const got = await config(
    ['--debug'],
    '{"mtu":1400,"hosts":["unix:///x"],"runtimes":{"r":{"path":"/r"}},"default-runtime":"r","tlsverify":true,"tlskey":"/k"}',
  );
  assert.equal(got.mtu, 1400);
  assert.equal(got.runtimePath, '/r');
  assert.equal(got.debug, true);
  assert.deepEqual([got.tls?.verify, got.tls?.keyFile], [true, '/k']);
});

test('conflicts, unknown keys and wrong types in daemon.json are named', async () => {
  const both = 'the following directives are specified both as a flag and in the configuration file:';
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ['{"nope":1,"zap":2}', [], "the following directives don't match any configuration option: nope, zap"],
    ['{"Debug":true}', [], "the following directives don't match any configuration option: Debug"],
    [
      '{"debug":true,"mtu":1400}',
      ['--debug=false', '--mtu', '5'],
      `${both} debug: (from flag: false, from file: true), mtu: (from flag: 5, from file: 1400)`,
    ],
    ['{"dns":["1.1.1.1"]}', ['--dns', '2.2.2.2'], `${both} dns: (from flag: [2.2.2.2], from file: [1.1.1.1])`],
    ['{"log-opts":{"a":"1"}}', ['--log-opt', 'a=2'], `${both} log-opts: (from flag: map[a:2], from file: map[a:1])`],
    ['{"mtu":"x"}', [], 'invalid JSON: mtu must be an integer'],
    ['[]', [], 'invalid JSON: the configuration must be an object'],
    [
      '{"registry-mirrors":["zz"]}',
      [],
      `invalid mirror: no scheme specified for "zz": must use either 'https://' or 'http://'`,
    ],
    ['{"default-address-pools":[{"base":"x","size":24}]}', [], "invalid CIDR address: x: no '/'"],
  ];
  for (const [file, args, fact] of cases) await assert.rejects(config(args, file), unusable(fact), file);
  await assert.rejects(config([], '{'), /^EngineError: unable to configure the daemon with file FILE: invalid JSON: /);
  await assert.rejects(readInvocation(['--config-file=/nonexistent/d.json']), {
    message:
      'unable to configure the daemon with file /nonexistent/d.json: open /nonexistent/d.json: no such file or directory',
  });
});

test('values that cannot be used, retired drivers, and what is not honoured', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--log-level=zz'], /^EngineError: invalid logging level: zz$/],
    [['--max-concurrent-uploads=-1'], /invalid max concurrent uploads: -1/],
    [['--mtu=-1'], /invalid default MTU: -1/],
    [['--push-compression=lzma'], /invalid compression "lzma": want gzip or zstd/],
    [['--push-compression=gzip:10'], /levels of gzip are 1 to 9/],
    [['--default-runtime=zz'], /specified default runtime 'zz' does not exist/],
    [['--ip=::1'], /not an IPv4 address: ::1/],
    [['--bridge=br0', '--bip=10.0.0.1/24'], /-b & --bip, mutually exclusive options/],
    [['-s', 'devicemapper'], /storage driver devicemapper: Docker has retired it.*docker save.*docker load/],
    [['-s', 'aufs'], /retired/],
    [['-s', 'zz'], /storage driver zz: not supported, use erofs, overlay2, btrfs, zfs, fuse-overlayfs or vfs/],
    [['--storage-opt=size'], /storage-opt size: must be formatted 'driver.option=value'/],
  ];
  for (const [args, message] of cases) await assert.rejects(config(args), message, args.join(' '));
});

test('what is kept of layers', async () => {
  const retain = async (args: readonly string[], file?: string) => (await config(args, file)).retain;
  assert.deepEqual(await retain([]), []);
  assert.equal(await retain(['--retain=both', '--retain-repository=ghcr.io/team']), 'both');
  const repositories = ['docker.io', 'localhost/a/b_c', '127.0.0.1:5000/a', '[::1]:5000/x', 'host:5000'];
  assert.deepEqual(await retain(repositories.map((one) => `--retain-repository=${one}`)), repositories);
  assert.deepEqual(await retain([], '{"retain":"uncompressed","retain-repositories":["ghcr.io"]}'), ['ghcr.io']);
  await assert.rejects(config(['--retain=tar']), { message: 'invalid retain: tar: it is uncompressed or both' });
  for (const bad of [
    'busybox',
    'library/busybox',
    'ghcr.io/team:1',
    'ghcr.io/Team',
    'ghcr.io//x',
    'ghcr.io/x@sha256:0',
  ])
    await assert.rejects(config([`--retain-repository=${bad}`]), /invalid repository to retain: /);
});
