import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDaemonJson } from './daemon-file.ts';

const read = (builder: unknown) => readDaemonJson(JSON.stringify({ builder })).get('builder');
const gib = 2 ** 30;

test('bounds alone are those of the standard rules', () => {
  assert.deepEqual(read({ gc: { enabled: true } }), {});
  assert.deepEqual(read({}), {});
  assert.deepEqual(read({ gc: { defaultKeepStorage: '20GB' } }), { space: { reservedSpaceBytes: 20 * gib } });
  assert.deepEqual(
    read({ gc: { defaultReservedSpace: '1GB', defaultMaxUsedSpace: '2GB', defaultMinFreeSpace: '0' } }),
    { space: { reservedSpaceBytes: gib, maxUsedSpaceBytes: 2 * gib } },
  );
});

test('without collection there are no rules', () => {
  assert.deepEqual(read({ gc: { enabled: false, defaultKeepStorage: '20GB' } }), { rules: [] });
  assert.deepEqual(read({ gc: { policy: [] } }), { rules: [] });
});

test('a policy is taken rule by rule, with the bounds of all where a rule has none', () => {
  const policy = [
    { filter: ['unused-for=2200h'], keepStorage: '10GB' },
    { keepDuration: ['48h'], filter: ['type==source.local,type==exec.cachemount,type==source.git.checkout'] },
    { filter: ['type=source.local'], reservedSpace: '0' },
    { filter: ['type=regular,type=exec.cachemount'], minFreeSpace: '1KB' },
    { all: true, reservedSpace: '100GB', maxUsedSpace: '200GB' },
  ];
  const reservedSpaceBytes = 50 * gib;
  assert.deepEqual(read({ gc: { defaultReservedSpace: '50GB', policy } }), {
    rules: [
      { filters: { 'unused-for': ['2200h'] }, reservedSpaceBytes: 10 * gib },
      { filters: { type: ['exec.cachemount'], 'unused-for': ['48h'] }, reservedSpaceBytes },
      { filters: { type: ['source.local'] }, reservedSpaceBytes },
      { reservedSpaceBytes, minFreeSpaceBytes: 1024 },
      { all: true, reservedSpaceBytes: 100 * gib, maxUsedSpaceBytes: 200 * gib },
    ],
  });
});

test('what cannot be meant is refused by name', () => {
  const faults: readonly (readonly [unknown, string])[] = [
    [[], 'invalid JSON: builder must be an object'],
    [{ gc: { policies: [] } }, 'invalid JSON: builder.gc has no policies'],
    [{ gc: { policy: {} } }, 'invalid JSON: builder.gc.policy must be a list of objects'],
    [{ gc: { policy: [{ keepBytes: '1' }] } }, 'invalid JSON: builder.gc.policy has no keepBytes'],
    [{ gc: { policy: [{ filter: [1] }] } }, 'invalid JSON: builder.gc.policy: filter must be a list of strings'],
    [{ gc: { policy: [{ filter: ['x'] }] } }, 'invalid JSON: builder.gc.policy: invalid filter: x'],
    [{ gc: { policy: [{ all: 'yes' }] } }, 'invalid JSON: builder.gc.policy: all must be true or false'],
    [
      { gc: { policy: [{ maxUsedSpace: 'much' }] } },
      "invalid JSON: builder.gc.policy.maxUsedSpace: invalid size: 'much'",
    ],
    [{ entitlements: { 'security-insecure': true } }, 'builder.entitlements.security-insecure is not supported'],
    [{ gcs: {} }, 'invalid JSON: builder has no gcs'],
  ];
  for (const [builder, message] of faults) assert.throws(() => read(builder), { message });
});
