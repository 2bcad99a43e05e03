import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeHostConfig, mergeConfig } from './config.ts';

const id = 'a'.repeat(64);
const image = {
  Cmd: ['sh'],
  Entrypoint: ['/entry'],
  Env: ['A=1', 'B=2'],
  Labels: { l: '1', m: '1' },
  WorkingDir: '/w',
  User: 'u',
};

test('the container’s words over the image’s', () => {
  const merged = mergeConfig(id, { Env: ['B=3'], Labels: { m: '2' }, Cmd: ['ls'] }, image);
  assert.deepEqual(merged.Env, ['B=3', 'A=1']);
  assert.deepEqual(merged.Labels, { l: '1', m: '2' });
  assert.deepEqual([merged.Entrypoint, merged.Cmd], [['/entry'], ['ls']]);
  assert.deepEqual([merged.Hostname, merged.WorkingDir, merged.User], ['a'.repeat(12), '/w', 'u']);
});

test('the working directory is written the shortest way', () => {
  for (const [given, kept] of [
    ['/x/../y/', '/y'],
    ['//', '/'],
    ['', '/w'],
  ] as const) {
    assert.equal(mergeConfig(id, { WorkingDir: given }, image).WorkingDir, kept);
  }
});

test('an entrypoint of one’s own takes the image’s command away', () => {
  const own = mergeConfig(id, { Entrypoint: ['sh'] }, image);
  assert.deepEqual([own.Entrypoint, own.Cmd], [['sh'], null]);
  const cleared = mergeConfig(id, { Entrypoint: [''], Cmd: ['ls'] }, image);
  assert.deepEqual([cleared.Entrypoint, cleared.Cmd], [null, ['ls']]);
});

test('limits: what Docker fills in and what it refuses', () => {
  const complete = (host: Parameters<typeof completeHostConfig>[0]) => completeHostConfig(host, 'crun', 1);
  assert.equal(complete({ Memory: 64 << 20 }).MemorySwap, 128 << 20);
  assert.equal(complete({ Memory: 64 << 20, MemorySwap: -1 }).MemorySwap, -1);
  assert.equal(complete({ MemorySwappiness: -1 }).MemorySwappiness, null);
  assert.equal(complete({ NetworkMode: 'default' }).NetworkMode, 'bridge');
  assert.equal(complete({ PidsLimit: 0 }).PidsLimit, null);
  assert.throws(() => complete({ Memory: 1 }), { message: 'Minimum memory limit allowed is 6MB' });
  assert.throws(() => complete({ NanoCpus: 1e15 }), /range of CPUs is from 0\.01 to/);
  assert.throws(() => complete({ CpuPeriod: 5 }), /CPU cfs period can not be less than 1ms/);
});
