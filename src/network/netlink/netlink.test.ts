import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../address.ts';
import { elementText, linkElements, portElements } from '../firewall/port-elements.ts';
import { decodeUdpFlows } from './conntrack.ts';
import {
  attribute,
  be16,
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  nested,
  refusalText,
  text,
  u32,
} from './message.ts';
import { addElements, decodeElements, decodePolicy, getChain } from './nftables.ts';
import {
  configureLink,
  createBridge,
  createVeth,
  decodeAddresses,
  decodeLinks,
  decodeRoutes,
  deleteLink,
  listRoutes,
} from './route.ts';
import { createDummy, createStacked, createVlan } from './stacked.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(/\s+/g, ''), 'hex');

test('a bridge is made with the bytes iproute2 sends', () => {
  const { bytes, acks } = createBridge({ name: 'wh-1', macAddress: '02:42:0a:0b:0c:0d', mtu: 1500, alias: 'mine' });
  assert.equal(acks, 2);
  assert.deepEqual(
    bytes,
    hex(`
      50000000 1000 0506 00000000 00000000
      00 00 0000 00000000 00000000 00000000
      0900 0300 77682d31 00 000000
      0a00 0100 02420a0b0c0d 0000
      0800 0400 dc050000
      1000 1200 0b00 0100 627269646765 00 00
      38000000 1300 0500 00000000 00000000
      00 00 0000 00000000 00000000 00000000
      0900 0300 77682d31 00 000000
      0900 1400 6d696e65 00 000000
    `),
  );
});

test('a veth pair carries its peer, and the descriptor of the namespace last', () => {
  const { bytes, patches } = createVeth({
    hostName: 'wv0',
    peerName: 'eth0',
    macAddress: '02:42:ac:11:00:02',
    mtu: 1500,
    bridgeIndex: 5,
    namespacePath: '/run/netns/a',
  });
  assert.deepEqual(patches, [{ offset: bytes.length - 4, kind: 'namespace', value: '/run/netns/a' }]);
  assert.deepEqual(
    bytes,
    hex(`
      88000000 1000 0506 00000000 00000000
      00 00 0000 00000000 01000000 01000000
      0800 0300 77763000
      0800 0400 dc050000
      0800 0a00 05000000
      5000 1200
        0900 0100 76657468 00 000000
        4000 0200
          3c00 0100
            00 00 0000 00000000 00000000 00000000
            0900 0300 65746830 00 000000
            0a00 0100 0242ac110002 0000
            0800 0400 dc050000
            0800 1c00 00000000
    `),
  );
});

test('address, up and default route go as one datagram with the link index open in each', () => {
  const { bytes, acks, patches } = configureLink({
    name: 'eth0',
    address: parseAddress('172.17.0.2'),
    prefixLength: 16,
    gateway: parseAddress('172.17.0.1'),
  });
  assert.equal(acks, 3);
  assert.deepEqual(
    bytes,
    hex(`
      30000000 1400 0506 00000000 00000000   02 10 00 00 00000000
      0800 0200 ac110002   0800 0100 ac110002   0800 0400 ac11ffff
      20000000 1300 0500 00000000 00000000   00 00 0000 00000000 01000000 01000000
      2c000000 1800 0506 00000000 00000000   02 00 00 00 fe 03 00 01 00000000
      0800 0500 ac110001   0800 0400 00000000
    `),
  );
  assert.deepEqual(
    patches.map(({ offset }) => offset),
    [20, 48 + 20, 48 + 32 + 40],
  );
});

test('an IPv6 address comes to a link that is up, and is not tried out first', () => {
  const { bytes, patches } = configureLink({
    name: 'eth0',
    address: parseAddress('fd00::2'),
    prefixLength: 64,
    gateway: parseAddress('fd00::1'),
  });
  assert.deepEqual(
    bytes,
    hex(`
      20000000 1300 0500 00000000 00000000   00 00 0000 00000000 01000000 01000000
      40000000 1400 0506 00000000 00000000   0a 40 02 00 00000000
      1400 0200 fd000000 00000000 00000000 00000002   1400 0100 fd000000 00000000 00000000 00000002
      38000000 1800 0506 00000000 00000000   0a 00 00 00 fe 03 00 01 00000000
      1400 0500 fd000000 00000000 00000000 00000001   0800 0400 00000000
    `),
  );
  assert.deepEqual(
    patches.map(({ offset }) => offset),
    [20, 32 + 20, 32 + 64 + 52],
  );
});

test('links are deleted by name and dumps ask for everything', () => {
  assert.deepEqual(
    deleteLink('wv0').bytes,
    hex('28000000 1100 0500 00000000 00000000 00000000 00000000 00000000 00000000 0800 0300 77763000'),
  );
  assert.deepEqual(listRoutes(4).bytes, hex('1c000000 1a00 0103 00000000 00000000 02000000 00000000 00000000'));
});

test('a port is one element in a transaction of its own', () => {
  const [element] = portElements('0123456789abcdef', { ipAddress: '172.17.0.2' }, [
    { containerPort: 80, protocol: 'tcp', hostIP: '0.0.0.0', hostPort: 8080 },
    { containerPort: 80, protocol: 'tcp', hostIP: '::', hostPort: 8080 },
  ]);
  assert.equal(elementText(element!), 'published_any tcp 8080 to 172.17.0.2:80');
  const { bytes, acks } = addElements('t', [element!]);
  assert.equal(acks, 1);
  assert.deepEqual(
    bytes,
    hex(`
      14000000 1000 0100 00000000 00000000 0000000a
      6c000000 0c0a 0504 00000000 00000000 02000000
      0600 0100 7400 0000
      1200 0200 7075626c69736865645f616e7900 0000
      3c00 0380 3800 0180
        1000 0180 0c00 0100 06000000 1f900000
        1000 0280 0c00 0100 ac110002 00500000
        1300 0600 00 0d 30313233343536373839616200 00
      14000000 1100 0100 00000000 00000000 0000000a
    `),
  );
});

test('a port on an IPv6 address is translated where the container has one, and opened where it needs no translation', () => {
  const bindings = [
    { containerPort: 80, protocol: 'tcp', hostIP: '::', hostPort: 8080 },
    { containerPort: 80, protocol: 'tcp', hostIP: '::1', hostPort: 8081 },
    { containerPort: 80, protocol: 'tcp', hostIP: '::', hostPort: 0 },
    { containerPort: 80, protocol: 'tcp', hostIP: '0.0.0.0', hostPort: 8080 },
  ] as const;
  const ipv6 = { ipAddress: 'fd00::2', prefixLength: 64, gateway: '' };
  assert.deepEqual(portElements('x', { ipAddress: '', ipv6 }, bindings).map(elementText), [
    'published_any tcp 8080 to [fd00::2]:80',
    'published tcp [::1]:8081 to [fd00::2]:80',
    'opened tcp [fd00::2]:80',
  ]);
});

test('a port that is open to one address has both in its key', () => {
  const [from, to] = ['172.17.0.3', '172.17.0.2'].map(parseAddress);
  const [element] = linkElements('x', from!, to!, [{ port: 53, protocol: 'udp' }]);
  assert.deepEqual(element!.key, hex('ac110003 ac110002 11000000 00350000'));
  assert.equal(elementText(element!), 'linked 172.17.0.3 to udp 172.17.0.2:53');
});

test('a port on one address has the address in its key', () => {
  const [element] = portElements('x', { ipAddress: '10.0.0.2' }, [
    { containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1', hostPort: 5353 },
  ]);
  assert.deepEqual(element!.key, hex('11000000 7f000001 14e90000'));
  assert.equal(elementText(element!), 'published udp 127.0.0.1:5353 to 10.0.0.2:53');
});

test('answers are read: links, addresses, routes, elements, policies, flows', () => {
  const link = encodeMessage(
    16,
    2,
    hex('00000000 07000000 01000000 00000000'),
    attribute(3, text('wv1')),
    attribute(4, u32(1400)),
    attribute(10, u32(5)),
    attribute(18, attribute(1, text('veth'))),
  );
  assert.deepEqual(decodeLinks(Buffer.concat([link, encodeMessage(3, 2, u32(0))])), [
    { index: 7, name: 'wv1', up: true, masterIndex: 5, kind: 'veth', mtu: 1400, alias: '' },
  ]);
  const address = encodeMessage(20, 2, hex('02100000 05000000'), attribute(2, hex('ac110001')));
  assert.deepEqual(decodeAddresses(address), [{ linkIndex: 5, address: parseAddress('172.17.0.1'), prefixLength: 16 }]);
  const route = (table: number) =>
    encodeMessage(
      24,
      2,
      Buffer.from([2, 16, 0, 0, table, 2, 253, 1, 0, 0, 0, 0]),
      attribute(1, hex('ac110000')),
      attribute(4, u32(5)),
    );
  assert.deepEqual(decodeRoutes(Buffer.concat([route(255), route(254)])), [
    { destination: parseAddress('172.17.0.0'), prefixLength: 16, linkIndex: 5 },
  ]);
  const item = { family: 4, set: 's', key: hex('06000000 1f900000'), data: hex('ac110002 00500000') } as const;
  assert.deepEqual(decodeElements(addElements('t', [item]).bytes, 4, 's'), [item]);
  const chain = (policy: string) =>
    encodeMessage(0x0a03, 0, hex('02000000'), attribute(3, text('FORWARD')), attribute(5, hex(policy)));
  assert.equal(decodePolicy(chain('00000000')), 'drop');
  assert.equal(decodePolicy(chain('00000001')), 'accept');
  assert.equal(decodePolicy(getChain(4, 'filter', 'FORWARD').bytes), undefined);
  const original = Buffer.concat([
    nested(1, attribute(1, hex('c6336402')), attribute(2, hex('c6336401'))),
    nested(2, attribute(1, Buffer.from([17])), attribute(2, be16(40000)), attribute(3, be16(8090))),
  ]);
  const flow = encodeMessage(
    0x0100,
    2,
    hex('02000000'),
    nested(1, original),
    nested(2, nested(1, attribute(1, hex('ac110002')), attribute(2, hex('c6336402')))),
  );
  assert.deepEqual(decodeUdpFlows(flow), [{ family: 4, sentToPort: 8090, answeredBy: '172.17.0.2', original }]);
});

test("the kernel's own words for a refusal are found", () => {
  const refusal = Buffer.concat([u32(-22), Buffer.alloc(16), attribute(1, text('Invalid name'))]);
  assert.equal(refusalText(encodeMessage(2, 0x200, refusal)), 'Invalid name');
  assert.equal(refusalText(encodeMessage(2, 0, u32(-22), Buffer.alloc(16))), undefined);
  assert.equal(refusalText(encodeMessage(2, 0, u32(0), Buffer.alloc(16))), undefined);
});

test('attributes come back as they went, and broken answers are errors', () => {
  const pairs = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 40 })), {
    selector: ([type]) => type,
  });
  fc.assert(
    fc.property(pairs, (expected) => {
      const bytes = encodeMessage(99, 0, ...expected.map(([type, value]) => attribute(type, value)));
      const [message] = decodeMessages(bytes);
      const found = decodeAttributes(message!.payload);
      assert.deepEqual(
        [...found].map(([type, value]) => [type, [...value]]),
        expected.map(([type, value]) => [type, [...value]]),
      );
    }),
  );
  assert.throws(() => decodeMessages(hex('ff000000 1000 0000 00000000 00000000')), /message of 255 bytes/);
  assert.throws(() => decodeAttributes(hex('ff00 0100 00000000')), /attribute of 255 bytes/);
});

test('links on a parent carry its index, their mode, and the descriptor of the namespace last', () => {
  const common = { parentIndex: 5, name: 'eth0', macAddress: '02:42:ac:11:00:02', namespacePath: '/run/netns/a' };
  const macvlan = createStacked({ ...common, kind: { driver: 'macvlan', mode: 'bridge' }, mtu: 1500 });
  assert.deepEqual(macvlan.patches, [{ offset: macvlan.bytes.length - 4, kind: 'namespace', value: '/run/netns/a' }]);
  assert.deepEqual(
    macvlan.bytes,
    hex(`
      6c000000 1000 0506 00000000 00000000
      00 00 0000 00000000 00000000 00000000
      0800 0500 05000000
      0900 0300 65746830 00 000000
      0a00 0100 0242ac110002 0000
      0800 0400 dc050000
      1c00 1200
        0c00 0100 6d6163766c616e 00
        0c00 0280 0800 0100 04000000
      0800 1c00 00000000
    `),
  );
  const ipvlan = createStacked({ ...common, kind: { driver: 'ipvlan', mode: 'l3s', flag: 'vepa' } });
  assert.deepEqual(
    ipvlan.bytes,
    hex(`
      60000000 1000 0506 00000000 00000000
      00 00 0000 00000000 00000000 00000000
      0800 0500 05000000
      0900 0300 65746830 00 000000
      2400 1200
        0b00 0100 6970766c616e 00 00
        1400 0280 0600 0100 0200 0000 0600 0200 0200 0000
      0800 1c00 00000000
    `),
  );
});

test('VLANs and dummies are made up', () => {
  assert.deepEqual(
    createVlan({ name: 'mv0.50', parentIndex: 5, vlanID: 50 }).bytes,
    hex(`
      50000000 1000 0506 00000000 00000000
      00 00 0000 00000000 01000000 01000000
      0800 0500 05000000
      0b00 0300 6d76302e3530 00 00
      1c00 1200
        0900 0100 766c616e 00 000000
        0c00 0280 0600 0100 3200 0000
    `),
  );
  assert.equal(createDummy('dm-1').bytes.includes('dummy'), true);
});

test('a default route without a gateway is to everybody on the link', () => {
  const { bytes } = configureLink({ name: 'eth0', gateway: 4 });
  assert.deepEqual(
    bytes.subarray(32),
    hex('24000000 1800 0506 00000000 00000000  02 00 00 00 fe 03 fd 01 00000000  0800 0400 00000000'),
  );
});
