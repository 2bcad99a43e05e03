import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSpec, cgroupPath } from './spec.ts';
import { ociResources } from './spec-resources.ts';
import type { ContainerSpec } from './types.ts';

const host = { version: 1, swapLimit: true, arch: 'x64', kernelRelease: '6.1.0' } as const;

function spec(changes: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    id: 'abc',
    rootfs: '/mnt/root',
    readonlyRootfs: false,
    hostname: 'box',
    process: {
      args: ['sleep', '1'],
      env: ['PATH=/bin'],
      cwd: '/',
      terminal: false,
      uid: 0,
      gid: 0,
      additionalGids: [0],
      capabilities: ['CAP_CHOWN'],
      noNewPrivileges: false,
    },
    mounts: [],
    shmSizeBytes: 67_108_864,
    resources: {},
    networkNamespace: '/run/netns/abc',
    privileged: false,
    sysctls: {},
    cgroupParent: 'docker',
    annotations: {},
    ...changes,
  };
}

const bind = (destination: string, ...options: string[]) => ({
  destination,
  type: 'bind',
  source: '/srv',
  options: ['rbind', ...options],
});

test("Docker's defaults", () => {
  const { linux, mounts, process, root } = buildSpec(spec(), host);
  assert.deepEqual(
    mounts.map((mount) => mount.destination),
    ['/proc', '/dev', '/dev/pts', '/sys', '/sys/fs/cgroup', '/dev/mqueue', '/dev/shm'],
  );
  assert.ok(mounts.find((mount) => mount.destination === '/dev/shm')?.options.includes('size=67108864'));
  assert.ok(mounts.find((mount) => mount.destination === '/sys')?.options.includes('ro'));
  assert.deepEqual(linux.namespaces, [
    { type: 'mount' },
    { type: 'network', path: '/run/netns/abc' },
    { type: 'uts' },
    { type: 'pid' },
    { type: 'ipc' },
  ]);
  assert.equal(linux.cgroupsPath, '/docker/abc');
  assert.equal(linux.sysctl['net.ipv4.ip_unprivileged_port_start'], '0');
  assert.ok(linux.maskedPaths.includes('/proc/kcore') && linux.readonlyPaths.includes('/proc/sys'));
  assert.deepEqual(linux.resources.devices[0], { allow: false, access: 'rwm' });
  assert.ok(linux.seccomp);
  assert.deepEqual(process.capabilities.effective, ['CAP_CHOWN']);
  assert.equal(process.oomScoreAdj, 0);
  assert.deepEqual(root, { path: '/mnt/root', readonly: false });
});

test('the network of the machine: no namespace, no sysctls of ours', () => {
  const { linux } = buildSpec(spec({ networkNamespace: 'host', sysctls: { 'kernel.msgmax': '1' } }), host);
  assert.equal(
    linux.namespaces.some(({ type }) => type === 'network'),
    false,
  );
  assert.deepEqual(linux.sysctl, { 'kernel.msgmax': '1' });
});

test("a user's sysctl wins over the default", () => {
  const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '1024' };
  const { linux } = buildSpec(spec({ sysctls }), host);
  assert.equal(linux.sysctl['net.ipv4.ip_unprivileged_port_start'], '1024');
});

test('privileged: nothing hidden, all devices, no filter', () => {
  const { linux, mounts } = buildSpec(spec({ privileged: true }), { ...host, version: 2 });
  assert.deepEqual([linux.maskedPaths, linux.readonlyPaths, linux.seccomp], [[], [], undefined]);
  assert.deepEqual(linux.resources.devices, [{ allow: true, access: 'rwm' }]);
  const null_ = linux.devices.find((device) => device.path === '/dev/null');
  assert.deepEqual([null_?.type, null_?.major, null_?.minor], ['c', 1, 3]);
  assert.ok(mounts.find((mount) => mount.destination === '/sys')?.options.includes('rw'));
  assert.equal(
    linux.namespaces.some(({ type }) => type === 'cgroup'),
    false,
  );
});

test('cgroup v2 gives a private cgroup namespace', () => {
  const { linux } = buildSpec(spec(), { ...host, version: 2 });
  assert.ok(linux.namespaces.some(({ type }) => type === 'cgroup'));
});

test('mounts: the user replaces defaults, parents come before children', () => {
  const mounts = [bind('/data/deep'), bind('/data'), bind('/dev/shm')];
  const built = buildSpec(spec({ mounts }), host).mounts;
  assert.deepEqual(
    built.slice(-3).map((mount) => mount.destination),
    ['/data', '/data/deep', '/dev/shm'],
  );
  assert.equal(built.filter((mount) => mount.destination === '/dev/shm').length, 1);
  const own = buildSpec(spec({ mounts: [bind('/dev')] }), host).mounts.map((mount) => mount.destination);
  assert.deepEqual(
    own.filter((path) => path.startsWith('/dev')),
    ['/dev'],
  );
});

test('a bind that propagates makes the root propagate', () => {
  const propagation = (option: string) =>
    buildSpec(spec({ mounts: [bind('/data', option)] }), host).linux.rootfsPropagation;
  assert.equal(propagation('rshared'), 'shared');
  assert.equal(propagation('rslave'), 'rslave');
  assert.equal(propagation('rprivate'), undefined);
});

test('an init goes in front of the command', () => {
  const built = buildSpec(spec({ initPath: '/usr/bin/tini' }), host);
  assert.deepEqual(built.process.args, ['/sbin/docker-init', '--', 'sleep', '1']);
  assert.ok(built.mounts.some((mount) => mount.source === '/usr/bin/tini' && mount.options.includes('ro')));
});

test('seccomp can be left out', () => {
  assert.equal(buildSpec(spec({ seccomp: 'unconfined' }), host).linux.seccomp, undefined);
});

test('a cgroup cannot be put outside its hierarchy', () => {
  assert.equal(cgroupPath({ cgroupParent: '../../etc', id: 'x' }), '/etc/x');
});

test('limits in the words of the runtime', () => {
  const facts = { version: 1, swapLimit: true } as const;
  assert.deepEqual(ociResources({}, facts), {});
  assert.deepEqual(ociResources({ memoryBytes: 64, nanoCpus: 500_000_000, pidsLimit: 50 }, facts), {
    memory: { limit: 64, swap: 128 },
    cpu: { quota: 50_000, period: 100_000 },
    pids: { limit: 50 },
  });
  assert.deepEqual(ociResources({ memoryBytes: 64, memorySwapBytes: -1, pidsLimit: -1 }, facts), {
    memory: { limit: 64, swap: -1 },
  });
  assert.deepEqual(ociResources({ memoryBytes: 64, memoryReservationBytes: 32 }, { ...facts, swapLimit: false }), {
    memory: { limit: 64, reservation: 32 },
  });
  assert.deepEqual(
    ociResources({ cpuShares: 512, cpuPeriod: 1000, cpuQuota: 500, cpusetCpus: '0-1', cpusetMems: '0' }, facts),
    { cpu: { shares: 512, quota: 500, period: 1000, cpus: '0-1', mems: '0' } },
  );
});
