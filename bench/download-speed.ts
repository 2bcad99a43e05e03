/**
 * One large blob over one connection and over several, sample by sample in turn: from a server that limits each connection, and from one that
 * does not. The reader hashes. Quote the ratios.
 *
 * Usage: download-speed.ts [--samples N] [--megabytes M] [--limit MB_PER_SECOND]
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { digestOf } from '#oci';
import { parseReference } from '#reference';
import { createRegistryClient, parallelRead } from '#registry';
import { median } from './figures.ts';
import { timed } from './task.ts';

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '3' },
    megabytes: { type: 'string', default: '200' },
    limit: { type: 'string', default: '10' },
  },
});
const stepBytes = 64 << 10;
const blob = randomBytes(Number(values.megabytes) * 1e6);
const digest = digestOf(blob);

/** Sends ranges of the blob, no faster than so many bytes a second on each connection. */
async function serve(bytesPerSecond: number) {
  let requests = 0;
  const server = createServer(async ({ url, headers }, response) => {
    if (!url?.includes(digest)) return void response.end();
    requests++;
    const [first = 0, last = blob.length - 1] = (headers.range?.match(/\d+/g) ?? []).map(Number);
    response.writeHead(headers.range ? 206 : 200, {
      'content-length': last + 1 - first,
      'content-range': `bytes ${first}-${last}/${blob.length}`,
    });
    const startedMs = performance.now();
    response.setMaxListeners(0);
    for (let at = first; at <= last && !response.destroyed; at += stepBytes) {
      const aheadMs = ((at - first) / bytesPerSecond) * 1000 - (performance.now() - startedMs);
      if (aheadMs > 5) await sleep(aheadMs);
      if (!response.write(blob.subarray(at, Math.min(last + 1, at + stepBytes))))
        await new Promise<void>((resolve) => response.once('drain', resolve).once('close', resolve));
    }
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    reference: parseReference(`127.0.0.1:${port}/bench`),
    requests: () => requests,
    close: () => server.close(),
  };
}

await using client = createRegistryClient();
for (const [name, bytesPerSecond] of [
  [`${values.limit} MB/s a connection`, Number(values.limit) * 1e6],
  ['no limit', Number.POSITIVE_INFINITY],
] as const) {
  const server = await serve(bytesPerSecond);
  const read = async (connections: number) => {
    const hash = createHash('sha256');
    const source = parallelRead((offset, piece) => client.blob(server.reference, digest, { offset, ...piece }), {
      what: 'fetch blob',
      sizeBytes: blob.length,
      connections,
    });
    for await (const chunk of source) hash.update(chunk);
    if (`sha256:${hash.digest('hex')}` !== digest) throw new Error('other bytes');
  };
  const took: Record<number, number[]> = { 1: [], 4: [] };
  const asked: number[] = [];
  for (let round = 0; round < Number(values.samples); round++) {
    for (const connections of [1, 4]) {
      const before = server.requests();
      took[connections]!.push(await timed(() => read(connections)));
      if (connections === 4) asked.push(server.requests() - before);
    }
  }
  const [one, four] = [median(took[1]!), median(took[4]!)];
  const ratio = (four / one).toFixed(2);
  console.log(
    `${name}: 1 connection ${one.toFixed(0)} ms, up to 4 ${four.toFixed(0)} ms, ratio ${ratio}, requests ${asked}`,
  );
  server.close();
}
