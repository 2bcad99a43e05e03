import assert from 'node:assert/strict';
import { createHash, randomInt } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Engine } from '#api-types';
import { isKind } from '#errdefs';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { drain, inPieces, noise, randomOf, tarOf, verifies } from './crash-fixture.ts';
import { run, withBase } from './daemon-fixture.ts';

/** More are worth it now and then: WHERRY_UNDO_OPERATIONS=500. */
const operations = Number(process.env['WHERRY_UNDO_OPERATIONS'] ?? 30);
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));
const driver = process.env['WHERRY_STORAGE_DRIVER'];
const longestRound = 20;

type Random = (below: number) => number;

/** Every file below a folder with what it is and what is in it. */
function treeOf(folder: string): string {
  const hash = createHash('sha256');
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const stat = lstatSync(join(folder, path));
    hash.update(`${path} ${stat.mode} ${stat.uid} ${stat.gid} ${stat.mtimeMs}\n`);
    if (stat.isFile()) hash.update(readFileSync(join(folder, path)));
    if (stat.isSymbolicLink()) hash.update(readlinkSync(join(folder, path)));
  }
  return hash.digest('hex');
}

/** What somebody would miss: names, digests, parents, containers with what they wrote and said, volumes with their bytes, the build cache. */
async function stateOf(engine: Engine, { dataRoot }: TestDaemon) {
  const images = await engine.images.list({ all: true });
  const containers = await engine.containers.list({ all: true });
  const volumes = (await engine.volumes.list()).Volumes ?? [];
  const cache = (await engine.system.df({ types: ['build-cache'] })).BuildCache ?? [];
  return {
    images: images.map(({ Id, ParentId, RepoTags, RepoDigests, Size }) => ({
      Id,
      ParentId,
      RepoTags,
      RepoDigests,
      Size,
    })),
    containers: await Promise.all(
      containers.map(async ({ Id }) => ({
        inspect: await engine.containers.inspect(Id),
        changes: await engine.containers.changes(Id),
        written: treeOf(join(dataRoot, 'snapshots', Id)),
        files: treeOf(join(dataRoot, 'containers', Id)),
      })),
    ),
    volumes: volumes.map((volume) => ({ volume, bytes: treeOf(volume.Mountpoint) })),
    cache: cache.map(({ ID, Size }) => ({ ID, Size })),
  };
}

/** Images on each other and beside, with names and without; containers that wrote, with volumes of theirs and shared ones. */
async function stock(engine: Engine): Promise<void> {
  for (let at = 0; at < 4; at++) {
    const dockerfile = `FROM ${at % 2 === 0 ? 'base' : `app:${at - 1}`}\nCOPY data /data${at}\nENV N=${at}\n`;
    const context = tarOf({ Dockerfile: dockerfile, data: noise(5000 + at) });
    await drain(engine.build(inPieces(context), { t: [`app:${at}`, `other/app:${at}`] }));
  }
  for (let at = 0; at < 5; at++) {
    const id = await run(engine, `box-${at}`, {
      Image: `app:${at % 3}`,
      Cmd: ['sh', '-c', `echo ${at} said; echo ${at} > /written; rm /data0; echo own > /own/f; echo ${at} > /shared/f`],
      Volumes: { '/own': {} },
      HostConfig: { Binds: [`shared-${at % 2}:/shared`] },
    });
    await (await engine.containers.wait(id)).result;
  }
  for (let at = 0; at < 3; at++) await engine.volumes.create({ Name: `free-${at}` });
}

/** One call that takes something away, or is refused. */
async function destroy(engine: Engine, random: Random): Promise<void> {
  const pick = <T>(list: readonly T[]): T | undefined => list[random(Math.max(list.length, 1))];
  const images = await engine.images.list();
  const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []);
  const containers = await engine.containers.list({ all: true });
  const volumes = (await engine.volumes.list()).Volumes ?? [];
  const calls: (() => Promise<unknown>)[] = [
    async () => await engine.images.remove(pick(tags) ?? 'none', { force: random(2) === 0 }),
    async () => await engine.images.remove(pick(images)?.Id ?? 'none', { force: random(2) === 0 }),
    async () => {
      const [repo = '', tag = ''] = (pick(tags) ?? 'none:x').split(':');
      await engine.images.tag(pick(tags) ?? 'none', repo, tag);
    },
    async () => await engine.containers.remove(pick(containers)?.Id ?? 'none', { volumes: random(2) === 0 }),
    async () => await engine.volumes.remove(pick(volumes)?.Name ?? 'none'),
  ];
  const prunes: (() => Promise<unknown>)[] = [
    () => engine.images.prune({ filters: random(2) === 0 ? {} : { dangling: ['false'] } }),
    () => engine.volumes.prune({ filters: { all: ['true'] } }),
    () => engine.pruneBuildCache({ all: random(2) === 0 }),
    () => (random(4) === 0 ? engine.containers.prune() : Promise.resolve()),
  ];
  const call = random(6) === 0 ? pick(prunes) : pick(calls);
  await call?.().catch((error: unknown) => {
    if (!isKind(error, 'conflict') && !isKind(error, 'not-found')) throw error;
  });
}

test('whatever is removed and overwritten, undoing all of it gives back the same state, also across kills', async (t) => {
  if (!requireRoot(t)) return;
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using daemon = await TestDaemon.start({
    flags: ['--undo-min-free=0', ...(driver ? ['--storage-driver', driver] : [])],
  });
  await using engine = await withBase(daemon.host);
  await stock(engine);
  let undone = 0;
  for (let done = 0; done < operations; ) {
    const before = await stateOf(engine, daemon);
    const round = 1 + random(longestRound);
    const killAt = random(3) === 0 ? random(round) : -1;
    for (let at = 0; at < round; at++, done++) {
      const work = destroy(engine, random);
      if (at !== killAt) {
        await work;
        continue;
      }
      // In the middle of a call: it is done, half done or not begun.
      const ended = work.catch(() => {});
      await wait(random(12));
      await daemon.kill();
      await ended;
      await daemon.start();
    }
    for (let items = await engine.trash.list(); items.length > 0; items = await engine.trash.list()) {
      undone += (await engine.trash.undo({ count: 1 + random(items.length) })).length;
      if (random(8) !== 0) continue;
      await daemon.kill();
      await daemon.start();
    }
    assert.deepEqual(await stateOf(engine, daemon), before);
  }
  t.diagnostic(`${undone} calls undone`);
  assert.ok(undone > operations / 4, `${undone} of ${operations} calls had something to undo`);
  await verifies(daemon);
});
