import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDriverOptions, mountArguments } from './driver-options.ts';

test('options of the local driver: what a mount needs, and nothing else', () => {
  checkDriverOptions('v', {});
  checkDriverOptions('v', { type: 'nfs', device: ':/x', o: 'addr=1.2.3.4' });
  for (const [options, message] of [
    [{ bogus: '1', device: '/x' }, 'create v: invalid option: "bogus"'],
    [{ size: '1G' }, 'create v: quota size requested but no quota support'],
    [{ type: 'none', o: 'bind' }, 'create v: missing required option: "device"'],
    [{ device: '/x', o: 'bind' }, 'create v: missing required option: "type"'],
  ] as const) {
    assert.throws(() => checkDriverOptions('v', options), { kind: 'invalid-argument', message });
  }
});

test('o is taken apart into flags and data', () => {
  const taken = (o: string) => {
    const { flags, data } = mountArguments({ type: 't', device: 'd', o });
    return [flags, data];
  };
  assert.deepEqual(taken(''), [0, '']);
  assert.deepEqual(taken('bind'), [0x1000, '']);
  assert.deepEqual(taken('rbind,ro,nosuid,nodev,noexec'), [0x5000 | 1 | 2 | 4 | 8, '']);
  assert.deepEqual(taken('ro,rw,size=1m,uid=5,'), [0, 'size=1m,uid=5']);
});
