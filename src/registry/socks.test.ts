/** Registries behind a SOCKS5 proxy: RFC 1928, with a user and a password by RFC 1929. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '#oci';
import { parseReference } from '#reference';
import { serveRegistry } from '#registry-server';
import { fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { createRegistryClient } from './index.ts';

const [version, byPassword, connectCommand, byName] = [5, 2, 1, 3];

/** Knows one host, whose name nobody else can resolve; notes what is asked for. */
async function socksTo(upstream: string) {
  const asked: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    void greet(socket, asked, upstream).catch(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    asked,
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

async function greet(socket: Socket, asked: string[], upstream: string): Promise<void> {
  const read = async (sizeBytes: number): Promise<Buffer> => {
    for (;;) {
      const bytes: Buffer | null = socket.read(sizeBytes);
      if (bytes) return bytes;
      await once(socket, 'readable');
    }
  };
  const text = async () => (await read((await read(1))[0]!)).toString();
  const [, methods = 0] = await read(2);
  assert.ok((await read(methods)).includes(byPassword));
  socket.write(Buffer.from([version, byPassword]));
  await read(1);
  const credentials = `${await text()}:${await text()}`;
  socket.write(Buffer.from([1, credentials === 'ann:s3cret' ? 0 : 1]));
  const [, command, , kind] = await read(4);
  assert.deepEqual([command, kind], [connectCommand, byName]);
  asked.push(`${await text()}:${(await read(2)).readUInt16BE()}`);
  const [host, port] = upstream.split(':');
  const onward = connect(Number(port), host);
  await once(onward, 'connect');
  socket.write(Buffer.from([version, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
  onward.on('error', () => socket.destroy());
  socket.pipe(onward).pipe(socket);
}

test('a registry is spoken to by way of a SOCKS5 proxy, which looks its name up', async () => {
  await using folder = await temporaryFolder();
  await using registry = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  await using proxy = await socksTo(registry.address);
  const settings = join(folder.path, 'certs.d', 'registry.invalid');
  await mkdir(settings, { recursive: true });
  const write = (credentials: string) =>
    writeFile(
      join(settings, 'hosts.toml'),
      `server = "http://registry.invalid"\nproxy = "socks5h://${credentials}@127.0.0.1:${proxy.port}"`,
    );
  await write('ann:s3cret');
  const certsDir = join(folder.path, 'certs.d');
  await using client = createRegistryClient({ certsDir, retry: { attempts: 1 }, insecure: ['registry.invalid'] });
  const reference = parseReference('registry.invalid/app:1');
  const bytes = Buffer.alloc(300_000, 'x');
  const digest = digestOf(bytes);
  await client.pushBlob(reference, { digest, sizeBytes: bytes.length, open: () => fromBytes(bytes) });
  const { source } = await client.blob(reference, digest);
  assert.ok((await readAll(source, 1 << 20)).equals(bytes));
  assert.ok(proxy.asked.length > 0 && proxy.asked.every((one) => one === 'registry.invalid:80'), proxy.asked.join());
  await write('ann:wrong');
  await assert.rejects(client.hasBlob(reference, digest), /authentication/i);
});
