import assert from 'node:assert/strict';
import { test } from 'node:test';
import { procMountFault } from './proc-mounts.ts';

test('nothing but proc is mounted over /proc, and nothing in it that says what a container may do', () => {
  const fault = (source: string, destination: string, type = 'bind') =>
    procMountFault({ rootfs: '/root', mounts: [{ type, source, destination, options: [] }] });
  const said = (destination: string, why: string) =>
    'unable to start container process: error during container init: error mounting "/tmp" to rootfs at ' +
    `"${destination}": create mountpoint for ${destination} mount: check proc-safety of ${destination} mount: ` +
    `"/root${destination}" cannot be mounted because it is ${why}`;
  assert.equal(fault('/tmp', '/proc'), said('/proc', 'not of type proc'));
  assert.equal(fault('/tmp', '/proc', 'tmpfs'), said('/proc', 'not of type proc'));
  assert.equal(fault('/tmp', '/proc/sys'), said('/proc/sys', 'inside /proc'));
  for (const [source, destination] of [
    ['/proc', '/proc'],
    ['/tmp', '/proc/uptime'],
    ['/tmp', '/process'],
  ] as const) {
    assert.equal(fault(source, destination), undefined, destination);
  }
});
