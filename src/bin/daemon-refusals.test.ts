import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDaemonJson } from './daemon-file.ts';
import { parseFlags, usage } from './daemon-flags.ts';
import { notices, refuseUnsupported } from './daemon-refusals.ts';

const onCommandLine = (...args: string[]) => refuseUnsupported(parseFlags(args).given);
const inFile = (text: string) => refuseUnsupported(readDaemonJson(text));

test('what dockerd has and this daemon has not is refused by name, with the reason', () => {
  const faults: readonly (readonly [string, string])[] = [
    ['--authorization-plugin=x', 'authorization-plugin x is not supported: there are no plugins here'],
    ['--containerd=/x', 'containerd /x is not supported: images and containers are kept without containerd'],
    ['--cri-containerd', 'cri-containerd is not supported: containers are run without containerd'],
    ['--network-control-plane-mtu=1400', 'network-control-plane-mtu 1400 is not supported: there is no swarm here'],
    ['--selinux-enabled', 'selinux-enabled is not supported: containers are not labelled'],
    [
      '--userland-proxy-path=/x',
      'userland-proxy-path /x is not supported: the daemon itself carries what the kernel cannot',
    ],
    [
      '--ip-forward-no-drop=false',
      'ip-forward-no-drop=false is not supported: the policy of the FORWARD chain is left alone',
    ],
    ['--feature=x', 'feature x is not supported'],
    ['--exec-opt=x', "invalid exec-opt (x): must be formatted 'opt=value'"],
    ['--exec-opt=a=b', "invalid exec-opt (a=b): unknown option: 'a'"],
    [
      '--exec-opt=native.cgroupdriver=systemd',
      'exec-opt native.cgroupdriver=systemd is not supported: use native.cgroupdriver=cgroupfs',
    ],
  ];
  for (const [flag, message] of faults) assert.throws(() => onCommandLine(flag), { message }, flag);
  assert.throws(() => inFile('{"features":{"time":true}}'), { message: 'feature time is not supported' });
  assert.throws(() => inFile('{"deprecated-key-path":"/x"}'), /^EngineError: deprecated-key-path is not supported/);
});

test('values that ask for nothing, and for what is so anyway, pass', () => {
  onCommandLine('--cri-containerd=false', '--feature=a=false', '--exec-opt=native.cgroupdriver=cgroupfs');
  onCommandLine('--network-control-plane-mtu=1500', '--raw-logs', '--ip-forward-no-drop');
  inFile('{"builder":{"gc":{"enabled":false}},"allow-nondistributable-artifacts":[]}');
  inFile('{"selinux-enabled":false,"authorization-plugins":[],"features":{"buildkit":false},"cpu-rt-period":0}');
});

test('features that are had another way are told of, and stop nobody', () => {
  const text = '{"features":{"buildkit":true,"containerd-snapshotter":true}}';
  inFile(text);
  assert.deepEqual(
    notices(readDaemonJson(text)).map((line) => line.split(':')[0]),
    ['feature buildkit makes no difference', 'feature containerd-snapshotter makes no difference'],
  );
  assert.deepEqual(notices(readDaemonJson('{"features":{"buildkit":false}}')), []);
});

test('the help does not offer them', () => {
  assert.doesNotMatch(usage(), /authorization-plugin|selinux|--feature/);
  assert.match(usage(), /--userland-proxy /);
});
