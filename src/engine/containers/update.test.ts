import assert from 'node:assert/strict';
import { test } from 'node:test';
import { merged } from './update.ts';

test('an update leaves alone what it does not name', () => {
  const current = { Memory: 64 << 20, MemorySwap: -1, CpusetCpus: '0', PidsLimit: 20, Privileged: true } as const;
  assert.deepEqual(merged(current, { Memory: 0, CpusetCpus: '', CpuShares: 512 }), { ...current, CpuShares: 512 });
  assert.deepEqual(merged(current, { PidsLimit: -1 }), { ...current, PidsLimit: 0 });
  assert.deepEqual(merged(current, { PidsLimit: null }), current);
  assert.deepEqual(merged(current, { RestartPolicy: { Name: 'always' } }), {
    ...current,
    RestartPolicy: { Name: 'always', MaximumRetryCount: 0 },
  });
});
