import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import {
  addressBytes,
  addressFrom,
  addressText,
  checkMac,
  contains,
  macOf,
  overlap,
  parseAddress,
  parseCidr,
  subnetText,
} from './address.ts';

test('addresses read and show the same', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      assert.equal(addressText(parseAddress(address)), address);
    }),
  );
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const shown = addressText(parseAddress(address));
      assert.equal(shown, new URL(`http://[${address}]`).hostname.slice(1, -1));
      assert.deepEqual(addressFrom(addressBytes(parseAddress(shown))), parseAddress(address));
    }),
  );
  for (const bad of ['', '1.2.3', '1.2.3.4.5', '256.0.0.1', ':::', 'fe80::1%eth0', '1.2.3.4/8']) {
    assert.throws(
      () => parseAddress(bad),
      (error) => isKind(error, 'invalid-argument'),
    );
  }
});

test('a CIDR keeps its address and knows its subnet', () => {
  const { address, subnet } = parseCidr('172.17.5.9/16');
  assert.equal(addressText(address), '172.17.5.9');
  assert.equal(subnetText(subnet), '172.17.0.0/16');
  assert.equal(subnetText(parseCidr('255.255.255.255/0').subnet), '0.0.0.0/0');
  assert.ok(contains(subnet, parseAddress('172.17.255.255')));
  assert.ok(!contains(subnet, parseAddress('172.18.0.0')));
  assert.equal(subnetText(parseCidr('FD00:1::5/64').subnet), 'fd00:1::/64');
  assert.ok(!contains(parseCidr('::/0').subnet, parseAddress('1.2.3.4')), 'the families are apart');
  for (const bad of ['172.17.0.0', '172.17.0.0/33', '::/129', '172.17.0.0/x', '/8'])
    assert.throws(() => parseCidr(bad), /CIDR/);
});

test('subnets overlap when one holds the other, either way round', () => {
  const of = (text: string) => parseCidr(text).subnet;
  assert.ok(overlap(of('172.16.0.0/12'), of('172.17.0.0/16')));
  assert.ok(overlap(of('172.17.0.0/16'), of('172.16.0.0/12')));
  assert.ok(!overlap(of('172.17.0.0/16'), of('172.18.0.0/16')));
  assert.ok(overlap(of('fd00::/48'), of('fd00:0:0:5::/64')));
  assert.ok(!overlap(of('::/0'), of('172.18.0.0/16')));
});

test('hardware addresses come from addresses or are checked', () => {
  assert.equal(macOf(parseAddress('172.17.0.2')), '02:42:ac:11:00:02');
  assert.equal(macOf(parseAddress('fd00::ac:1102')), '02:42:00:ac:11:02');
  assert.equal(checkMac('02-42-AC-11-00-02'), '02:42:ac:11:00:02');
  for (const bad of ['', '01:00:00:00:00:00', '02:00:00:00:00', '02:00:00:00:00:0g']) {
    assert.throws(() => checkMac(bad), /invalid MAC address/);
  }
});
