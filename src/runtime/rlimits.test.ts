import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRlimit, readRlimitHost, rlimitFault } from './rlimits.ts';

const limits = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 20000                files
Max locked memory         8388608              8388608              bytes
Max nice priority         0                    0
`;
const limit = (type: string, soft: number, hard = soft) => [{ type: `RLIMIT_${type}`, soft, hard }];
const prefix =
  'unable to start container process: error during container init: error setting rlimits for ready process: error setting rlimit type';

test('limits beyond what this process may give away are told of with what it may', () => {
  const host = readRlimitHost(limits, 'CapEff:\t0000000000000000\n', '1048576\n');
  assert.equal(rlimitFault([...limit('NOFILE', 10, 20000), ...limit('CPU', -1)], host), undefined);
  assert.equal(
    rlimitFault(limit('NOFILE', 1, 20001), host),
    `${prefix} 7: operation not permitted: nofile can be 20000 at most on this machine`,
  );
  assert.equal(
    rlimitFault(limit('MEMLOCK', -1), host),
    `${prefix} 8: operation not permitted: memlock can be 8388608 at most on this machine`,
  );
  assert.equal(rlimitFault(limit('NICE', 1), host)?.endsWith('nice can be 0 at most on this machine'), true);
  assert.equal(rlimitFault(limit('NOFILE', 5, 4), host), `${prefix} 7: invalid argument`);
  assert.equal(rlimitFault(limit('NOFILE', -1, 4), host), `${prefix} 7: invalid argument`);
  assert.equal(rlimitFault(limit('BOGUS', 1), host), 'wrong rlimit value: RLIMIT_BOGUS');
});

test('who may raise limits is bounded by the kernel alone', () => {
  const host = readRlimitHost(limits, 'CapEff:\t0000000001000000\n', '1048576\n');
  assert.equal(rlimitFault([...limit('NOFILE', 1048576), ...limit('MEMLOCK', -1)], host), undefined);
  assert.match(rlimitFault(limit('NOFILE', -1), host) ?? '', /nofile can be 1048576 at most/);
});

test('no limit is the largest number there is, exactly', () => {
  assert.equal(
    JSON.stringify(limit('CPU', -1).map(encodeRlimit)),
    '[{"type":"RLIMIT_CPU","soft":18446744073709551615,"hard":18446744073709551615}]',
  );
});
