import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translatedWays } from './sctp.ts';

const both = { 4: true, 6: true };
const four = { hostIP: '0.0.0.0', target: { address: '172.17.0.2', routed: false } };
const carried = { hostIP: '::', target: { address: '172.17.0.2', routed: false } };
const six = { hostIP: '::', target: { address: 'fd00::2', routed: false } };
const binding = (hostIP: string) => ({ containerPort: 90, protocol: 'sctp', hostIP, hostPort: 0 }) as const;
const tracked = () => true;

test('SCTP goes where the firewall leads, and nowhere else', () => {
  assert.deepEqual(translatedWays([four, six], binding(''), both, tracked), [four, six]);
  assert.deepEqual(translatedWays([four, carried], binding(''), both, tracked), [four]);
  assert.deepEqual(translatedWays([four, six], binding(''), { 4: true, 6: false }, tracked), [four]);
});

test('what cannot be led says why', () => {
  const refused = (message: RegExp, ...[ways, hostIP, translates, tracks]: Parameters<typeof ask>) =>
    assert.throws(() => ask(ways, hostIP, translates, tracks), message);
  const ask = (ways: (typeof four)[], hostIP: string, translates = both, tracks = tracked) =>
    translatedWays(ways, binding(hostIP), translates, tracks);
  refused(/publishing 90\/sctp: :: cannot be led to a container without IPv6/, [carried], '::');
  refused(/the IPv6 loopback address cannot be translated/, [{ ...six, hostIP: '::1' }], '::1');
  refused(/--iptables=false/, [four, six], '', { 4: false, 6: false });
  refused(/this kernel tracks no SCTP associations/, [four], '', both, () => false);
});
