import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespacesOf, sysctlFault } from './namespaces.ts';
import type { ContainerSpec } from './types.ts';

const spec = (over: Partial<ContainerSpec>) => ({ networkNamespace: '/n', sysctls: {}, ...over }) as ContainerSpec;
const chosen = (over: Partial<ContainerSpec>, version: 1 | 2 = 2) =>
  namespacesOf(spec(over), version).map(({ type, path }) => (path === undefined ? type : `${type} ${path}`));

test('namespaces: own ones by default, the host stays out, others are joined by path', () => {
  assert.deepEqual(chosen({}), ['mount', 'network /n', 'uts', 'pid', 'ipc', 'cgroup']);
  assert.deepEqual(chosen({}, 1), ['mount', 'network /n', 'uts', 'pid', 'ipc']);
  assert.deepEqual(chosen({ privileged: true }), ['mount', 'network /n', 'uts', 'pid', 'ipc']);
  assert.deepEqual(
    chosen({ networkNamespace: 'host', namespaces: { ipc: '/i', pid: 'host', uts: 'host', cgroup: 'host' } }),
    ['mount', 'ipc /i'],
  );
  assert.deepEqual(chosen({ privileged: true, namespaces: { cgroup: 'private' } }, 1).at(-1), 'cgroup');
});

test('sysctls: only what a namespace of the container keeps apart', () => {
  const fault = (name: string, over: Partial<ContainerSpec> = {}) =>
    sysctlFault(spec({ sysctls: { [name]: '1' }, ...over }));
  for (const name of ['kernel.shmmax', 'fs.mqueue.msg_max', 'net.ipv4.ip_forward', 'kernel.domainname']) {
    assert.equal(fault(name), undefined, name);
  }
  assert.equal(
    fault('kernel.shmmax', { namespaces: { ipc: 'host' } }),
    'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace',
  );
  assert.equal(fault('kernel.shmmax', { namespaces: { ipc: '/proc/1/ns/ipc' } }), undefined);
  assert.equal(
    fault('net.core.somaxconn', { networkNamespace: 'host' }),
    'sysctl "net.core.somaxconn" not allowed in host network namespace',
  );
  assert.equal(
    fault('kernel.domainname', { namespaces: { uts: 'host' } }),
    'sysctl "kernel.domainname" is not in a separate kernel namespace',
  );
  assert.equal(fault('vm.swappiness'), 'sysctl "vm.swappiness" is not in a separate kernel namespace');
  assert.equal(fault('kernel.panic'), 'sysctl "kernel.panic" is not in a separate kernel namespace');
});
