/**
 * What `--dedup=files` saves on images of one Dockerfile, and what it costs: each image has a folder of packages of small files, a tenth of which are other
 * versions than in the image before. The same on a daemon without it.
 *
 * Usage: dedup.ts [--images N] [--packages N]
 */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { endOfArchive, packHeader, packPadding } from '#archive';
import { connect } from '#client';
import { scratchFolder } from '#testing';
import { baseImageTar } from '../scripts/base-image.ts';
import { TestDaemon } from '../test/support/daemon.ts';
import { Random } from './random.ts';
import { timed } from './task.ts';

const { values } = parseArgs({
  options: { images: { type: 'string', default: '10' }, packages: { type: 'string', default: '400' } },
});
const images = Number(values.images);
const packages = Number(values.packages);
const filesPerPackage = 40;

/** Sizes as in real ones: many small, few large. */
function sizeOf(random: Random): number {
  return Math.floor(200 * 1.5 ** random.below(14) * (1 + random.below(100) / 100));
}

function* packageFiles(number: number, version: number): Generator<readonly [path: string, bytes: Buffer]> {
  const random = new Random(number * 1000 + version + 1);
  for (let at = 0; at < filesPerPackage; at++) {
    // A new version of a package has other contents in a third of its files.
    const isNew = version > 0 && at % 3 === 0;
    const bytes = noise(
      `${number} ${at} ${isNew ? version : 0}`,
      sizeOf(isNew ? random : new Random(number * 999 + at)),
    );
    yield [`srv/node_modules/p${number}/f${at}.js`, bytes];
  }
}

function noise(name: string, sizeBytes: number): Buffer<ArrayBuffer> {
  const key = createHash('sha256').update(name).digest();
  return Buffer.from(
    createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16)).update(Buffer.alloc(sizeBytes)),
  );
}

const versionIn = (image: number, number: number) => ((number * 7 + image) % 10 === 0 ? image + 1 : 0);

function layer(image: number): Buffer {
  const parts: Uint8Array[] = [];
  for (let number = 0; number < packages; number++) {
    for (const [path, bytes] of packageFiles(number, versionIn(image, number))) {
      const mtime = { sec: 1_700_000_000 + image, nsec: 0 };
      parts.push(packHeader({ type: 'file', path, mode: 0o644, sizeBytes: bytes.length, mtime }), bytes);
      parts.push(packPadding(bytes.length));
    }
  }
  return Buffer.concat([...parts, endOfArchive]);
}

function archive(image: number): Buffer {
  const layers = [baseImageTar(), layer(image)];
  const diffIDs = layers.map((bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: diffIDs } });
  const manifest = [{ Config: 'c.json', RepoTags: [`app:${image}`], Layers: ['0.tar', '1.tar'] }];
  const members: (readonly [string, Buffer])[] = [
    ['c.json', Buffer.from(config)],
    ['0.tar', layers[0]!],
    ['1.tar', layers[1]!],
    ['manifest.json', Buffer.from(JSON.stringify(manifest))],
  ];
  return Buffer.concat([
    ...members.flatMap(([path, bytes]) => [
      packHeader({ type: 'file', path, mode: 0o644, sizeBytes: bytes.length }),
      bytes,
      packPadding(bytes.length),
    ]),
    endOfArchive,
  ]);
}

function usedMegabytes({ dataRoot }: TestDaemon): number {
  execFileSync('sync');
  const lines = execFileSync('du', ['-s', '-B1', join(dataRoot, 'content'), join(dataRoot, 'layers')]).toString();
  return [...lines.matchAll(/^(\d+)/gm)].reduce((sum, [, bytes]) => sum + Number(bytes), 0) / 1e6;
}

const read = ['sh', '-c', 'find /srv -type f -exec cat {} + >/dev/null'];

async function measure(flags: readonly string[]): Promise<Record<string, number>> {
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false', ...flags] });
  await using engine = connect(daemon.host);
  const run = (image: number, ...command: string[]) =>
    timed(async () => {
      const bin = join(import.meta.dirname, '..', 'bin/wherry');
      execFileSync(bin, ['-H', daemon.host, 'run', '--rm', '--network', 'none', `app:${image}`, ...command]);
    });
  const path = join(scratchFolder(), `wherry-dedup-${process.pid}.tar`);
  const loadMs = await timed(async () => {
    for (let image = 0; image < images; image++) {
      writeFileSync(path, archive(image));
      execFileSync(join(import.meta.dirname, '..', 'bin/wherry'), ['-H', daemon.host, 'load', '-q', '-i', path]);
    }
  });
  execFileSync('rm', [path]);
  const before = usedMegabytes(daemon);
  const sharedMs = flags.length === 0 ? 0 : await timed(() => untilQuiet(daemon, engine));
  const firstMs = await run(images - 1, 'true');
  const nextMs = await run(images - 1, 'true');
  writeFileSync('/proc/sys/vm/drop_caches', '3');
  const coldMs = await run(images - 1, ...read);
  const warmMs = await run(images - 1, ...read);
  return { loadMs, before, after: usedMegabytes(daemon), sharedMs, firstMs, nextMs, coldMs, warmMs };
}

/** Until nothing more has been shared for a while. */
async function untilQuiet(daemon: TestDaemon, engine: ReturnType<typeof connect>): Promise<void> {
  for (let [last, same] = [-1, 0]; same < 8; ) {
    const { sharedBytes } = await engine.system.fileUsage({ groups: 0 });
    same = sharedBytes === last && sharedBytes! > 0 ? same + 1 : 0;
    last = sharedBytes!;
    await wait(500);
  }
  process.stdout.write(
    daemon.log
      .match(/sharedBytes=\d+/g)
      ?.join(' ')
      .concat('\n') ?? '',
  );
}

for (const flags of [[], ['--dedup=files']]) {
  const figures = await measure(flags);
  process.stdout.write(`${flags.join(' ') || 'without'}\n`);
  for (const [name, value] of Object.entries(figures))
    process.stdout.write(`  ${name.padEnd(10)} ${value.toFixed(1)}\n`);
}
