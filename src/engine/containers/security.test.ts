import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availableCapabilities, capabilitiesOf, defaultCapabilities, knownCapabilities } from './capabilities.ts';
import { parseSecurity } from './security.ts';

test('capabilities of a bounding set', () => {
  assert.deepEqual(capabilitiesOf('0000000000000000'), []);
  assert.deepEqual(capabilitiesOf('0000000000001001'), ['CAP_CHOWN', 'CAP_NET_ADMIN']);
  assert.deepEqual(capabilitiesOf('000001ffffffffff'), knownCapabilities);
});

test('what is added and dropped', () => {
  const capabilities = (CapAdd: string[], CapDrop: string[]) => parseSecurity({ CapAdd, CapDrop }).capabilities;
  assert.deepEqual(capabilities([], []), defaultCapabilities);
  assert.deepEqual(capabilities(['chown'], ['ALL']), ['CAP_CHOWN']);
  assert.deepEqual(
    capabilities(['ALL'], ['CAP_CHOWN']),
    availableCapabilities().filter((name) => name !== 'CAP_CHOWN'),
  );
  assert.throws(() => capabilities(['x'], []), { message: 'invalid CapAdd: unknown capability: "CAP_X"' });
  assert.throws(() => capabilities([], ['x']), { message: 'invalid CapDrop: unknown capability: "CAP_X"' });
});

test('security options', () => {
  const parsed = (...SecurityOpt: string[]) => parseSecurity({ SecurityOpt });
  assert.equal(parsed('no-new-privileges').noNewPrivileges, true);
  assert.equal(parsed('no-new-privileges', 'no-new-privileges:false').noNewPrivileges, false);
  assert.equal(parsed('seccomp=unconfined').seccomp, 'unconfined');
  assert.equal(parsed('seccomp=builtin').seccomp, undefined);
  assert.throws(() => parsed('seccomp={}'), { kind: 'not-implemented' });
  assert.throws(() => parsed('writable-cgroups=true'), { kind: 'not-implemented' });
  assert.throws(() => parsed('bogus=1'), { message: 'invalid --security-opt 2: "bogus=1"' });
});
