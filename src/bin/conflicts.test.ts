import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseConflicts } from './conflicts.ts';
import { readDaemonJson } from './daemon-file.ts';
import { parseFlags } from './daemon-flags.ts';

test('what stands in both is named as dockerd prints it', () => {
  const cases: readonly (readonly [args: string[], file: object, text: string])[] = [
    [['--init=false'], { init: true }, 'init: (from flag: false, from file: true)'],
    [
      ['--default-shm-size', '2m'],
      { 'default-shm-size': '1536k' },
      'default-shm-size: (from flag: 2MiB, from file: 1.5MiB)',
    ],
    [
      ['--default-ulimit', 'nofile=3:4', '--default-ulimit', 'core=1'],
      { 'default-ulimits': { nofile: { Name: 'nofile', Hard: 64, Soft: 32 } } },
      'default-ulimits: (from flag: [nofile=3:4 core=1:1], from file: map[nofile:map[Hard:64 Name:nofile Soft:32]])',
    ],
    [
      ['--http-proxy', 'http://u:p@x'],
      { proxies: { 'http-proxy': 'http://y' } },
      'http-proxy: (from flag: http://xxxxx:xxxxx@x, from file: http://y)',
    ],
    [
      ['--add-runtime', 'a=/a'],
      { runtimes: { b: { path: '/b' } } },
      'runtimes: (from flag: map[a:/a], from file: map[b:/b])',
    ],
    [
      ['--default-network-opt', 'bridge=a=b'],
      { 'default-network-opts': { bridge: { c: 'd' } } },
      'default-network-opts: (from flag: map[bridge:map[a:b]], from file: map[bridge:map[c:d]])',
    ],
  ];
  for (const [args, file, text] of cases) {
    const [given, fromFile] = [parseFlags(args).given, readDaemonJson(JSON.stringify(file))];
    assert.throws(() => refuseConflicts(given, fromFile), {
      message: `the following directives are specified both as a flag and in the configuration file: ${text}`,
    });
  }
});
