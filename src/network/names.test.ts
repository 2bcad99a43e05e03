import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultBridgeName, instanceKey, isLinkName, linkPrefix, networkID, newLinkName } from './names.ts';

test('names fit the kernel and tell whose they are', () => {
  assert.equal(instanceKey('0a1b2c3d'), '0a1b2c3d');
  assert.match(instanceKey('/var/lib/wherry'), /^[0-9a-f]{8}$/);
  assert.notEqual(instanceKey('/a'), instanceKey('/b'));
  assert.ok(defaultBridgeName('/var/lib/wherry').length <= 15);
  const network = networkID('/a', 'bridge');
  assert.match(network, /^[0-9a-f]{64}$/);
  const name = newLinkName(network, 'c1');
  assert.ok(name.length <= 15 && isLinkName(name) && name.startsWith(linkPrefix(network, 'c1')));
  assert.notEqual(linkPrefix(network, 'c1'), linkPrefix(network, 'c2'));
  assert.notEqual(newLinkName(network, 'c1'), name);
  assert.ok(!isLinkName('wvx') && !isLinkName('eth0'));
});
