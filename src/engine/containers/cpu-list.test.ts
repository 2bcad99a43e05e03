import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkCpuset, parseCpuList } from './cpu-list.ts';

test('lists of CPUs', () => {
  assert.deepEqual(parseCpuList('0-2,7'), [0, 1, 2, 7]);
  for (const wrong of ['', 'x', '3-1', '1,', '-1', '0-99999']) assert.equal(parseCpuList(wrong), undefined, wrong);
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(8000), { minLength: 1 }), (numbers) => {
      assert.deepEqual(parseCpuList(numbers.join(',')), numbers);
    }),
  );
});

test('CPUs and nodes that are not there are refused', () => {
  checkCpuset({ CpusetCpus: '0', CpusetMems: '' });
  assert.throws(
    () => checkCpuset({ CpusetCpus: '8000' }),
    /^EngineError: Requested CPUs are not available - requested 8000, available: /,
  );
  assert.throws(() => checkCpuset({ CpusetMems: 'x' }), {
    message: 'Invalid value x for cpuset mems: invalid format: x',
  });
  assert.throws(() => checkCpuset({ CpusetCpus: '0-99999' }), {
    message: 'Invalid value 0-99999 for cpuset cpus: value of out range, maximum is 8192',
  });
});
