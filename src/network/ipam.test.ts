import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { addressText, parseAddress, parseCidr, subnetText } from './address.ts';
import { EndpointAddresses } from './endpoint-addresses.ts';
import { Addresses, chooseSubnet, defaultPools, poolsOf } from './ipam.ts';

const subnets = (...texts: string[]) => texts.map((text) => parseCidr(text).subnet);
const chosen = (taken: string[], pools = defaultPools) => subnetText(chooseSubnet(pools, subnets(...taken)));

test('of several subnets an address comes from the first that is not full', () => {
  const addresses = new EndpointAddresses('net');
  const open = (text: string) =>
    addresses.open(
      { family: 4, subnet: parseCidr(text).subnet, gateway: parseAddress(text.replace('.0/', '.1/').split('/')[0]!) },
      { auxiliary: [] },
    );
  open('10.0.1.0/30');
  open('10.0.2.0/24');
  const take = (ipAddress?: string) =>
    addresses.take({ networkID: 'n', ports: [], ...(ipAddress ? { ipAddress } : {}) }, true);
  const first = take();
  assert.deepEqual(first.shown, { ipAddress: '10.0.1.2', prefixLength: 30, gateway: '10.0.1.1' });
  assert.deepEqual(take().shown, { ipAddress: '10.0.2.2', prefixLength: 24, gateway: '10.0.2.1' });
  assert.equal(take('10.0.2.9').shown.ipAddress, '10.0.2.9');
  addresses.giveBack(first.addresses);
  assert.equal(take().shown.ipAddress, '10.0.1.2');
});

test('the first pool that overlaps nothing is chosen', () => {
  assert.equal(chosen([]), '172.17.0.0/16');
  assert.equal(chosen(['172.17.0.0/16', '172.18.5.0/24']), '172.19.0.0/16');
  assert.equal(chosen(['172.16.0.0/13']), '172.24.0.0/16');
  assert.equal(chosen(['172.16.0.0/12']), '192.168.0.0/20');
  assert.equal(chosen(['172.16.0.0/12', '192.168.1.0/24']), '192.168.16.0/20');
});

test('IPv6 subnets are the daemon’s own, unless the user gave some', () => {
  const own = poolsOf(6, undefined, '6d7ac245-f251-4b74-aed5-f04007665234');
  assert.deepEqual(own, [{ base: 'fdf6:201c:f7ea::/48', size: 64 }]);
  assert.equal(chosen([], own), 'fdf6:201c:f7ea::/64');
  assert.equal(chosen(['fdf6:201c:f7ea::/64', '172.17.0.0/16'], own), 'fdf6:201c:f7ea:1::/64');
  const given = [
    { base: '10.0.0.0/8', size: 24 },
    { base: 'fd01::/56', size: 64 },
  ];
  assert.deepEqual(poolsOf(6, given, 'x'), given.slice(1));
  assert.deepEqual(poolsOf(4, given, 'x'), given.slice(0, 1));
  assert.equal(chosen(['fd01::/57'], given.slice(1)), 'fd01:0:0:80::/64');
});

test('an IPv6 subnet has no broadcast address, and its first is nobody’s', () => {
  const [subnet, range] = subnets('fd00::/64', 'fd00::100/127');
  const addresses = new Addresses(subnet!, { gateway: parseAddress('fd00::1') });
  assert.equal(addressText(addresses.allocate()), 'fd00::2');
  assert.throws(() => addresses.reserve('fd00::'), /Address already in use/);
  assert.equal(addressText(addresses.reserve('fd00::ffff:ffff:ffff:ffff')), 'fd00::ffff:ffff:ffff:ffff');
  const few = new Addresses(subnet!, { range: range! });
  assert.deepEqual([few.allocate(), few.allocate()].map(addressText), ['fd00::100', 'fd00::101']);
  assert.throws(() => few.allocate(), /no available IPv6 addresses/);
});

test('pools of the user are cut in order; bad and used-up ones are refused', () => {
  const pools = [{ base: '10.10.0.0/23', size: 24 }];
  assert.equal(chosen([], pools), '10.10.0.0/24');
  assert.equal(chosen(['10.10.0.7/32'], pools), '10.10.1.0/24');
  assert.throws(
    () => chosen(['10.0.0.0/8'], pools),
    (error) => isKind(error, 'failed-precondition'),
  );
  assert.throws(() => chosen([], [{ base: '10.10.0.0/24', size: 16 }]), /invalid default address pool/);
  assert.throws(() => chosen([], [{ base: 'x', size: 16 }]), /invalid CIDR/);
});

test('the lowest free address is given, never the gateway or the ends', () => {
  const [subnet] = subnets('10.0.0.0/29');
  const addresses = new Addresses(subnet!, { gateway: parseAddress('10.0.0.3') });
  const given = Array.from({ length: 5 }, () => addressText(addresses.allocate()));
  assert.deepEqual(given, ['10.0.0.1', '10.0.0.2', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
  assert.throws(() => addresses.allocate(), /no available IPv4 addresses/);
  addresses.release(parseAddress('10.0.0.4'));
  addresses.release(parseAddress('10.0.0.2'));
  assert.equal(addressText(addresses.allocate()), '10.0.0.2');
});

test('a wanted address must be inside and free', () => {
  const [subnet] = subnets('10.0.0.0/24');
  const addresses = new Addresses(subnet!, { gateway: parseAddress('10.0.0.1') });
  assert.equal(addressText(addresses.reserve('10.0.0.9')), '10.0.0.9');
  for (const taken of ['10.0.0.9', '10.0.0.1', '10.0.0.0', '10.0.0.255']) {
    assert.throws(
      () => addresses.reserve(taken),
      (error) => isKind(error, 'conflict'),
    );
  }
  assert.throws(
    () => addresses.reserve('10.0.1.1'),
    (error) => isKind(error, 'invalid-argument'),
  );
});

test('a subnet of two addresses has no ends to spare', () => {
  const [subnet] = subnets('10.0.0.0/31');
  const addresses = new Addresses(subnet!, { gateway: parseAddress('10.0.0.0') });
  assert.equal(addressText(addresses.allocate()), '10.0.0.1');
});

test('addresses are given from the range, and reserved anywhere in the subnet', () => {
  const [subnet] = subnets('10.0.0.0/24');
  const [range] = subnets('10.0.0.128/30');
  const auxiliary = [parseAddress('10.0.0.129')];
  const addresses = new Addresses(subnet!, { gateway: parseAddress('10.0.0.254'), range: range!, auxiliary });
  assert.equal(addressText(addresses.allocate()), '10.0.0.128');
  assert.equal(addressText(addresses.allocate()), '10.0.0.130');
  assert.equal(addressText(addresses.reserve('10.0.0.7')), '10.0.0.7');
  assert.throws(() => addresses.reserve('10.0.0.129'), /Address already in use/);
  assert.equal(addressText(addresses.allocate()), '10.0.0.131');
  assert.throws(() => addresses.allocate(), /no available IPv4 addresses/);
});
