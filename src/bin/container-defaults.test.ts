import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSize } from '#api-types';
import { decodeUlimits, parseUlimit, readContainerDefaults } from './container-defaults.ts';

test('sizes as Docker reads them', () => {
  const sizes = { 64: 64, '8m': 8 << 20, '1.5g': 1.5 * 2 ** 30, '3kb': 3072, '4KiB': 4096, '5 m': 5 << 20, '7b': 7 };
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', '-1', 'x', '1xb', '1ib']) assert.throws(() => parseSize(text), /^Error: invalid size: '/);
});

test('ulimits, of a command line and of a file', () => {
  const nofile = (Soft: number, Hard: number) => ({ nofile: { Name: 'nofile', Hard, Soft } });
  assert.deepEqual(parseUlimit('nofile=3'), nofile(3, 3));
  assert.deepEqual(parseUlimit('nofile=3:-1'), nofile(3, -1));
  assert.deepEqual(decodeUlimits({ nofile: { Hard: 4, Soft: 3 } }), nofile(3, 4));
  assert.equal(decodeUlimits({ nofile: { Name: 'nofile', Hard: '4' } }), undefined);
  assert.equal(decodeUlimits({ nofile: { Name: 'nofile', Hardest: 4 } }), undefined);
  const must = 'ulimit soft limit must be less than or equal to hard limit';
  const faults: Readonly<Record<string, string>> = {
    nofile: 'invalid ulimit argument: nofile',
    'as=1': 'invalid ulimit type: as',
    'nofile=5:2': `${must}: 5 > 2`,
    'nofile=-1:5': `${must}: soft: -1 (unlimited), hard: 5`,
    'nofile=1:2:3': 'too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`',
    'nofile=1:b': 'strconv.ParseInt: parsing "b": invalid syntax',
  };
  for (const [text, message] of Object.entries(faults)) assert.throws(() => parseUlimit(text), { message });
  assert.throws(() => decodeUlimits({ nofile: { Hard: 2, Soft: 5 } }), { message: `${must}: 5 > 2` });
});

test('modes that cannot be a default', () => {
  const faults: readonly (readonly [string, string, string])[] = [
    ['default-ipc-mode', 'host', 'IPC mode "host" is not supported as default value; use "shareable" or "private"'],
    ['default-ipc-mode', 'x', 'default IPC mode setting (x) is invalid; use "shareable" or "private"'],
    ['default-cgroupns-mode', 'x', 'invalid default cgroup namespace (x): use "host" or "private"'],
    ['init-path', 'tini', 'invalid init-path (tini): must be an absolute path'],
  ];
  for (const [flag, value, message] of faults) {
    assert.throws(() => readContainerDefaults(new Map([[flag, value]])), { message });
  }
  assert.deepEqual(readContainerDefaults(new Map([['default-cgroupns-mode', '']])).cgroupnsMode, undefined);
});
