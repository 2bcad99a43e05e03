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
  assert.equal(parsed('seccomp=builtin').seccomp, 'builtin');
  assert.equal(parsed('no-new-privileges').seccomp, undefined);
  assert.deepEqual(parsed('seccomp=unconfined', 'seccomp={"a":"=:"}').seccomp, { profile: '{"a":"=:"}' });
  assert.equal(parsed('writable-cgroups=true').writableCgroups, true);
  assert.equal(parsed('label:disable', 'apparmor=x', 'label=type:y').writableCgroups, false);
  for (const bad of ['bogus=1', 'no-new-privileges=maybe', 'systempaths=unconfined', 'writable-cgroups=x']) {
    assert.throws(() => parsed(bad), { kind: 'internal', message: `invalid --security-opt 2: "${bad}"` });
  }
  for (const bad of ['bogus', 'seccomp']) {
    assert.throws(() => parsed(bad), { message: `invalid --security-opt 1: "${bad}"` });
  }
});
