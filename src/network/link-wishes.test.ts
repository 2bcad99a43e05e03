import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkLocalAddresses, linkName } from './link-wishes.ts';

test('a link has the wanted name, or the first number that is free', () => {
  const name = (wanted: string, ...taken: string[]) => linkName(wanted, new Set(taken), 'eth');
  assert.equal(name(''), 'eth0');
  assert.equal(name('', 'eth0', 'eth2'), 'eth1');
  assert.equal(name('wan0', 'eth0'), 'wan0');
  assert.equal(name('wan%dx', 'wan0x'), 'wan1x');
  const refused = (wanted: string, reason: string, ...taken: string[]) =>
    assert.throws(() => name(wanted, ...taken), {
      kind: 'internal',
      message: `failed to add interface eth0 to sandbox: error renaming interface "eth0" to "${wanted}": ${reason}`,
    });
  refused('lo', 'file exists');
  refused('wan0', 'file exists', 'wan0');
  for (const bad of ['.', '..', 'all', 'default', 'a b', 'a/b', 'a:b', 'a%', '%d%d']) refused(bad, 'invalid argument');
  refused('abcdefghijklmnop', 'numerical result out of range');
});

test('addresses of a link are of the link', () => {
  assert.equal(linkLocalAddresses({ linkLocal: ['169.254.3.4', 'fe80::5', '::ffff:169.254.3.3'] }).length, 3);
  for (const bad of ['1.2.3.4', 'fd00::1', '127.0.0.1', 'ff02::5', '224.0.0.5']) {
    assert.throws(() => linkLocalAddresses({ linkLocal: [bad] }), {
      kind: 'invalid-argument',
      message: `invalid link local IP address: ${bad}`,
    });
  }
});
