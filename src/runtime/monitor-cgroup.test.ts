import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCgroups } from './cgroups.ts';
import { monitorFolder } from './monitor-cgroup.ts';

const v1 = (controllers: string) =>
  `30 25 0:26 / /sys/fs/cgroup/${controllers} rw,relatime - cgroup cgroup rw,${controllers}\n`;
const v2 = (target: string) => `31 25 0:27 / ${target} rw,relatime shared:4 - cgroup2 cgroup2 rw\n`;

test('monitors leave the cgroup of a service, and only of one', () => {
  const unified = findCgroups(v2('/sys/fs/cgroup'));
  const service = '0::/system.slice/wherryd.service\n';
  assert.equal(monitorFolder(unified, '/docker', service), '/sys/fs/cgroup/docker/conmon');
  assert.equal(monitorFolder(unified, '/docker', '0::/\n'), undefined);
  const legacy = findCgroups(v1('name=systemd') + v1('memory'));
  const lines = '3:memory:/\n1:name=systemd:/system.slice/wherryd.service\n0::/\n';
  assert.equal(monitorFolder(legacy, 'docker', lines), '/sys/fs/cgroup/name=systemd/docker/conmon');
  assert.equal(monitorFolder(findCgroups(v1('memory')), 'docker', lines), undefined);
});
