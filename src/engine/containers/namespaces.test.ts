import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostConfig } from '#api-types';
import { checkNamespaceModes } from './namespaces.ts';

test('namespace modes: those Docker knows', () => {
  const good: HostConfig[] = [
    {},
    ...['none', 'private', 'shareable', 'host', 'container:', 'container:x'].map((IpcMode) => ({ IpcMode })),
    ...['host', 'container:x'].map((PidMode) => ({ PidMode })),
    { UTSMode: 'host' },
    { CgroupnsMode: 'private' },
  ];
  for (const host of good) checkNamespaceModes(host, {});
  const bad: [HostConfig, string][] = [
    [{ IpcMode: 'bogus' }, 'invalid IPC mode: bogus'],
    [{ PidMode: 'private' }, 'invalid PID mode: private'],
    [{ PidMode: 'container:' }, 'invalid PID mode: container:'],
    [{ UTSMode: 'private' }, 'invalid UTS mode: private'],
    [{ CgroupnsMode: 'bogus' as 'host' }, 'invalid cgroup namespace mode: bogus'],
  ];
  for (const [host, message] of bad) assert.throws(() => checkNamespaceModes(host, {}), { message });
});

test('namespace modes: the name of the host is not the container’s to choose', () => {
  const host = { UTSMode: 'host' };
  assert.throws(() => checkNamespaceModes(host, { Hostname: 'x' }), {
    message: 'conflicting options: hostname and the UTS mode',
  });
});
