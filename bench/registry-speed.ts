/**
 * Our registry beside Debian's docker-registry, sample by sample in turn: requests per second for small things, throughput of large blobs,
 * first byte of a blob. The client is the same for both and does as little as it can. Quote the ratios.
 *
 * Usage: registry-speed.ts [--samples N] [--seconds S] [--megabytes M]
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './figures.ts';
import { startRegistry } from './registry.ts';
import { timed } from './task.ts';

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    megabytes: { type: 'string', default: '256' },
  },
});
const connections = 16;
/** As many layers as the docker CLI's daemon pushes side by side. */
const layersAtOnce = 5;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Debian's, with the settings of its package but for where it keeps things. */
async function startDebian(folder: string): Promise<AsyncDisposable & { address: string }> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  const settings = join(folder, 'debian.yml');
  const storage = `{filesystem: {rootdirectory: ${folder}/debian}, delete: {enabled: true}}`;
  const quiet = 'log: {level: error, accesslog: {disabled: true}}';
  await writeFile(settings, `version: 0.1\n${quiet}\nstorage: ${storage}\nhttp: {addr: '127.0.0.1:${port}'}\n`);
  const child = spawn('docker-registry', ['serve', settings], { stdio: 'ignore' });
  const address = `127.0.0.1:${port}`;
  for (let tries = 0; tries < 200 && !(await fetch(`http://${address}/v2/`).then(Boolean, () => false)); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    address,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    },
  };
}

async function pushBlob(address: string, name: string, bytes: Uint8Array, digest = sha256(bytes)): Promise<string> {
  const begun = await fetch(`http://${address}/v2/${name}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location')!, `http://${address}`);
  location.searchParams.set('digest', digest);
  await putBlob(address, `${location.pathname}${location.search}`, bytes);
  return digest;
}

/** From one buffer, as it is: `fetch` would take as long as the servers. */
function putBlob(address: string, path: string, bytes: Uint8Array): Promise<void> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port) }, () => {
      socket.write(`PUT ${path} HTTP/1.1\r\nHost: ${address}\r\nContent-Type: application/octet-stream\r\n`);
      socket.write(`Content-Length: ${bytes.byteLength}\r\n\r\n`);
      socket.write(bytes);
    });
    socket.once('error', reject);
    socket.once('data', (answer: Buffer) => {
      const [head = ''] = answer.toString('latin1').split('\r\n', 1);
      socket.destroy();
      if (head.startsWith('HTTP/1.1 201')) resolve();
      else reject(new Error(`push: ${head}`));
    });
  });
}

async function seed(address: string): Promise<{ layer: string }> {
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');
  const layer = randomBytes(64 << 10);
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: await pushBlob(address, 'bench/app', config),
      size: config.length,
    },
    layers: [
      {
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        digest: await pushBlob(address, 'bench/app', layer),
        size: layer.length,
      },
    ],
  };
  const put = await fetch(`http://${address}/v2/bench/app/manifests/v1`, {
    method: 'PUT',
    headers: { 'content-type': manifestType },
    body: JSON.stringify(manifest),
  });
  if (put.status !== 201) throw new Error(`seed: ${put.status}`);
  return { layer: sha256(layer) };
}

/** Answers per second to one request, again and again on a few connections. */
async function requestsPerSecond(address: string, method: string, path: string): Promise<number> {
  const [host = '', port = ''] = address.split(':');
  const request = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: ${address}\r\nAccept: ${manifestType}\r\n\r\n`);
  const endMs = performance.now() + Number(values.seconds) * 1000;
  const counts = await Promise.all(
    Array.from({ length: connections }, () =>
      ask({ host, port: Number(port), request, isHead: method === 'HEAD', endMs }),
    ),
  );
  return counts.reduce((sum, count) => sum + count, 0) / Number(values.seconds);
}

interface Asking {
  readonly host: string;
  readonly port: number;
  readonly request: Buffer;
  readonly isHead: boolean;
  readonly endMs: number;
}

function ask({ host, port, request, isHead, endMs }: Asking): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => socket.write(request));
    socket.setNoDelay(true);
    let count = 0;
    let pending: Buffer = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const head = pending.indexOf('\r\n\r\n');
      if (head < 0) return;
      const text = pending.toString('latin1', 0, head);
      if (!text.startsWith('HTTP/1.1 200')) return reject(new Error(text));
      const length = isHead ? 0 : Number(/content-length: (\d+)/i.exec(text)?.[1]);
      if (pending.length < head + 4 + length) return;
      pending = Buffer.alloc(0);
      count++;
      if (performance.now() < endMs) return void socket.write(request);
      socket.destroy();
      resolve(count);
    });
  });
}

/** Into one buffer, again and again: `fetch` would be slower than either server. */
function pullBlob(address: string, name: string, digest: string): Promise<{ firstMs: number; totalMs: number }> {
  const [host = '', port = ''] = address.split(':');
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    let firstMs = 0;
    let answer: { headBytes: number; allBytes: number } | undefined;
    let cameBytes = 0;
    const take = (sizeBytes: number, buffer: Uint8Array): boolean => {
      answer ??= headOf(Buffer.from(buffer.buffer, 0, sizeBytes));
      cameBytes += sizeBytes;
      if (cameBytes > answer.headBytes) firstMs ||= performance.now() - startedMs;
      if (cameBytes < answer.allBytes) return true;
      socket.destroy();
      resolve({ firstMs, totalMs: performance.now() - startedMs });
      return true;
    };
    const onread = { buffer: new Uint8Array(256 << 10), callback: take };
    const socket = connect({ host, port: Number(port), onread }, () =>
      socket.write(`GET /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: ${address}\r\n\r\n`),
    );
    socket.on('error', reject);
  });
}

/** Both servers send their heads in one piece. */
function headOf(start: Buffer): { headBytes: number; allBytes: number } {
  const headBytes = start.indexOf('\r\n\r\n') + 4;
  const head = start.toString('latin1', 0, headBytes);
  if (!head.startsWith('HTTP/1.1 200')) throw new Error(head);
  return { headBytes, allBytes: headBytes + Number(/content-length: (\d+)/i.exec(head)![1]) };
}

type Figures = Readonly<Record<string, number>>;

interface Blob {
  readonly bytes: Uint8Array;
  readonly digest: string;
}

function randomBlob(sizeBytes: number): Blob {
  const bytes = randomBytes(sizeBytes);
  return { bytes, digest: sha256(bytes) };
}

async function sample(address: string, layer: string, round: number): Promise<Figures> {
  const name = `bench/large${round}`;
  const megabytes = Number(values.megabytes);
  const large = randomBlob(megabytes * 1e6);
  const pushMs = await timed(() => pushBlob(address, name, large.bytes, large.digest));
  const layers = Array.from({ length: layersAtOnce }, () => randomBlob((megabytes * 1e6) / layersAtOnce));
  const pushAll = () => Promise.all(layers.map(({ bytes, digest }) => pushBlob(address, name, bytes, digest)));
  const pushAllMs = await timed(pushAll);
  const { firstMs, totalMs } = await pullBlob(address, name, large.digest);
  return {
    'HEAD blob /s': await requestsPerSecond(address, 'HEAD', `/v2/bench/app/blobs/${layer}`),
    'HEAD manifest /s': await requestsPerSecond(address, 'HEAD', '/v2/bench/app/manifests/v1'),
    'GET manifest /s': await requestsPerSecond(address, 'GET', '/v2/bench/app/manifests/v1'),
    'GET 64 KiB blob /s': await requestsPerSecond(address, 'GET', `/v2/bench/app/blobs/${layer}`),
    'push MB/s': megabytes / (pushMs / 1000),
    [`push of ${layersAtOnce} MB/s`]: megabytes / (pushAllMs / 1000),
    'pull MB/s': megabytes / (totalMs / 1000),
    'first byte ms': firstMs,
  };
}

const folder = await mkdtemp(join(tmpdir(), 'wherry-registry-speed-'));
try {
  await using ours = await startRegistry(join(folder, 'ours'), undefined);
  await using debian = await startDebian(folder);
  const contenders = { ours: ours.address, 'docker-registry': debian.address };
  const seeded = await Promise.all(Object.values(contenders).map(seed));
  const rows: Record<string, Figures[]> = { ours: [], 'docker-registry': [] };
  for (let round = 0; round < Number(values.samples); round++) {
    for (const [at, [name, address]] of Object.entries(contenders).entries()) {
      rows[name]!.push(await sample(address, seeded[at]!.layer, round));
    }
  }
  for (const metric of Object.keys(rows['ours']![0]!)) {
    const [mine, theirs] = Object.values(rows).map((figures) => median(figures.map((figure) => figure[metric]!)));
    console.log(
      `${metric.padEnd(20)} ours ${mine!.toFixed(1)}  docker-registry ${theirs!.toFixed(1)}  ratio ${(mine! / theirs!).toFixed(2)}`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
