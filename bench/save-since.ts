/**
 * What `save --since` writes, takes and holds: an image of one large layer, a few megabytes of which change in many places, on one daemon; the difference
 * loaded on another that has the first version. With the same image saved whole beside it.
 *
 * Usage: save-since.ts [--megabytes M] [--changed M] [--places N]
 */
import { createCipheriv, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { endOfArchive, packHeader, packPadding } from '#archive';
import { connect } from '#client';
import { hostPlatform } from '#oci';
import { TestDaemon } from '../test/support/daemon.ts';
import { timed } from './task.ts';

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '2048' },
    changed: { type: 'string', default: '5' },
    places: { type: 'string', default: '50' },
  },
});
const MiB = 1 << 20;
const fileBytes = 4 * MiB;
const files = Number(values.megabytes) / 4;
const places = Number(values.places);
const changedBytes = Math.floor((Number(values.changed) * MiB) / places);

/** The same bytes for the same name, without a pattern. */
function noise(name: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(name).digest();
  return createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16)).update(Buffer.alloc(sizeBytes));
}

/** Files of noise; in the second version, pieces of some of them are others, and every file has another time. */
function* layer(version: number): Generator<Buffer> {
  for (let at = 0; at < files; at++) {
    const bytes = noise(`file ${at}`, fileBytes);
    const isChanged = version === 2 && Math.floor((at * places) / files) !== Math.floor(((at - 1) * places) / files);
    if (isChanged) noise(`other ${at}`, changedBytes).copy(bytes, (at * 7919) % (fileBytes - changedBytes));
    const mtime = { sec: 1_700_000_000 + version, nsec: 0 };
    yield packHeader({ type: 'file', path: `srv/${at}`, mode: 0o644, sizeBytes: fileBytes, mtime });
    yield bytes;
  }
  yield Buffer.from(endOfArchive);
}

async function* archive(version: number): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for (const chunk of layer(version)) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  const diffID = `sha256:${hash.digest('hex')}`;
  const config = JSON.stringify({ ...hostPlatform(), rootfs: { type: 'layers', diff_ids: [diffID] } });
  const manifest = JSON.stringify([{ Config: 'c.json', RepoTags: [`big:${version}`], Layers: ['l/layer.tar'] }]);
  for (const [path, text] of [
    ['c.json', config],
    ['manifest.json', manifest],
  ] as const) {
    yield packHeader({ type: 'file', path, mode: 0o644, sizeBytes: text.length });
    yield Buffer.from(text);
    yield packPadding(text.length);
  }
  yield packHeader({ type: 'file', path: 'l/layer.tar', mode: 0o644, sizeBytes });
  yield* layer(version);
  yield packPadding(sizeBytes);
  yield endOfArchive;
}

const peakMB = (pid: number) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1000;
const drain = async (source: AsyncIterable<unknown>) => {
  for await (const _ of source);
};

const flags = ['--bridge=none', '--iptables=false'];
await using here = await TestDaemon.start({ flags });
await using there = await TestDaemon.start({ flags });
await using one = connect(here.host);
await using other = connect(there.host);
for (const version of [1, 2]) await drain(one.images.load(archive(version), { quiet: true }));
await drain(other.images.load(archive(1), { quiet: true }));
const before = [peakMB(here.pid), peakMB(there.pid)];
const parts: Uint8Array[] = [];
const list = await other.images.digests();
const savedMs = await timed(async () => {
  for await (const part of one.images.save(['big:2'], { since: { list } })) parts.push(part);
});
const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
const chunks = (async function* () {
  yield* parts;
})();
const loadedMs = await timed(() => drain(other.images.load(chunks, { quiet: true })));
const same = (await one.images.inspect('big:2')).Id === (await other.images.inspect('big:2')).Id;
const after = [peakMB(here.pid), peakMB(there.pid)];
const wholeMs = await timed(() => drain(one.images.save(['big:2'])));
console.log(
  `${values.megabytes} MiB, ${values.changed} MiB changed in ${places} places: ${(sizeBytes / 1e6).toFixed(2)} MB, same image: ${same}`,
);
console.log(
  `saved in ${(savedMs / 1000).toFixed(1)} s (whole: ${(wholeMs / 1000).toFixed(1)} s), loaded in ${(loadedMs / 1000).toFixed(1)} s`,
);
console.log(
  `peak memory of the daemons ${after.map((peak) => peak.toFixed(0)).join(' and ')} MB (${before.map((peak) => peak.toFixed(0)).join(' and ')} MB before)`,
);
