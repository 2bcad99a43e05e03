import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { temporaryFolder } from '#testing';
import { dialTcp, dialUnixDatagram, type LogWire } from './wires.ts';

const message = Buffer.alloc(16 * 1024, 'm');

/** Sends until the other side takes no more: the send that is under way then, in an object, as a bare promise would be waited for. */
async function stuck(wire: LogWire): Promise<{ sending: Promise<void> }> {
  for (let sent = 0; sent < 10_000; sent++) {
    const sending = wire.send(message);
    if (!sending) continue;
    sending.catch(() => {});
    const isTaken = await Promise.race([sending.then(() => true), wait(300, false)]);
    if (!isTaken) return { sending };
  }
  throw new Error('everything was taken');
}

const outcome = ({ sending }: { sending: Promise<void> }) =>
  Promise.race([
    sending.then(
      () => 'sent',
      () => 'failed',
    ),
    wait(5_000, 'hangs', { ref: false }),
  ]);

test('a send to a stream server that reads nothing ends with the wire', async () => {
  const server = createServer((socket) => socket.pause().on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const wire = await dialTcp({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  const sending = await stuck(wire);
  wire.close();
  assert.equal(await outcome(sending), 'failed');
  server.close();
});

test('a send to a datagram socket that nobody reads ends with the wire', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'socket');
  const script = `use Socket; $| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0])); print 'bound'; sleep 100`;
  const child = spawn('perl', ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  try {
    const wire = await dialUnixDatagram(path);
    const sending = await stuck(wire);
    wire.close();
    assert.equal(await outcome(sending), 'failed');
  } finally {
    child.kill();
  }
});
