import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { run, withBase } from './daemon-fixture.ts';

const memoryKiB = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

/** Asks and never reads the answer. */
async function deaf(daemon: TestDaemon, path: string): Promise<Socket> {
  const socket = connect(daemon.host.replace('unix://', ''));
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.pause();
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return socket;
}

test('clients that stop reading cost no memory, and nobody else his turn', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start();
  await using engine = await withBase(daemon.host);
  const id = await run(engine, 'talks', { Cmd: ['sh', '-c', 'yes | head -c 100000000; sleep 1000'] });
  const volumes = async (count: number) => {
    for (let at = 0; at < count; at++) {
      await engine.volumes.create({ Name: `v${at}` });
      await engine.volumes.remove(`v${at}`);
    }
  };
  await volumes(50);
  const sockets = await Promise.all(
    ['events', `containers/${id}/logs?follow=1&stdout=1`, `containers/${id}/stats`].flatMap((path) =>
      Array.from({ length: 4 }, () => deaf(daemon, `/v1.51/${path}`)),
    ),
  );
  await wait(1000);
  const before = memoryKiB(daemon.pid);
  await volumes(1000);
  await wait(1000);
  const grown = memoryKiB(daemon.pid) - before;
  assert.ok(grown < 64 << 10, `${grown} KiB`);
  for (const socket of sockets) socket.destroy();
  assert.equal((await engine.containers.inspect(id)).State.Status, 'running');
});
