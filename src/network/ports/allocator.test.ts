import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { PortAllocator } from './allocator.ts';

const any = ['0.0.0.0', '::'];

test('a port is taken per protocol and address; every address clashes with each', () => {
  const ports = new PortAllocator();
  ports.take('tcp', any, 80);
  ports.take('udp', ['127.0.0.1'], 80);
  assert.throws(
    () => ports.take('tcp', ['127.0.0.1'], 80),
    (error) =>
      isKind(error, 'conflict') &&
      /^Bind for 0\.0\.0\.0:80 failed: port is already allocated$/.test((error as Error).message),
  );
  assert.throws(() => ports.take('udp', any, 80), /^EngineError: Bind for 127\.0\.0\.1:80 failed/);
  ports.take('udp', ['127.0.0.2', '::'], 80);
  ports.release({ protocol: 'tcp', hostIP: '0.0.0.0', hostPort: 80 });
  ports.take('tcp', ['127.0.0.1'], 80);
  assert.throws(() => ports.take('tcp', ['::1'], 80), /Bind for :::80 failed/);
});

test('free ports go on from the last one given and come round', () => {
  const ports = new PortAllocator({ first: 100, last: 103 });
  const next = () => {
    const [port] = ports.candidates('tcp', any);
    if (port !== undefined) ports.take('tcp', any, port);
    return port;
  };
  assert.deepEqual([next(), next()], [100, 101]);
  for (const hostIP of any) ports.release({ protocol: 'tcp', hostIP, hostPort: 100 });
  assert.deepEqual([next(), next(), next(), next()], [102, 103, 100, undefined]);
  assert.deepEqual([...ports.candidates('udp', any)], [100, 101, 102, 103]);
});

test('a wanted range starts at its start each time', () => {
  const ports = new PortAllocator();
  ports.take('tcp', any, 9000);
  const range = { first: 9000, last: 9002 };
  assert.deepEqual([...ports.candidates('tcp', any, range)], [9001, 9002]);
  assert.deepEqual([...ports.candidates('tcp', any, range)], [9001, 9002]);
});
