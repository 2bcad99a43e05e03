/**
 * Each call on a disk with room for one block, for two, and so on, so that each of its writes is the one that finds no space. `WHERRY_DISK_STEP=4096`
 * takes every level; otherwise a few are picked.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Engine } from '#api-types';
import { connect } from '#client';
import { isKind, messageOf } from '#errdefs';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { absentIsFine, drain, inPieces, noise, randomOf, tarOf } from './crash-fixture.ts';

const stepBytes = Number(process.env['WHERRY_DISK_STEP'] ?? 0);
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));
const only = process.env['WHERRY_DISK_CALL'];
const blockBytes = 4096;
const pickedLevels = 3;
const sizeBytes = 200 << 20;

/** One call, with what takes its result away again; with `enoughBytes` free it succeeds. */
interface Step {
  readonly name: string;
  readonly enoughBytes: number;
  readonly run: (engine: Engine) => Promise<unknown>;
  readonly undo: (engine: Engine) => Promise<unknown>;
}

const stoppedIsFine = (error: unknown) => {
  if (!isKind(error, 'not-modified')) throw error;
};
const removed = (name: string) => (engine: Engine) => engine.images.remove(name).catch(absentIsFine);
const context = { Dockerfile: 'FROM base\nCOPY data /data\nRUN echo made > /made\n', data: noise(50_000) };

function steps({ archive, remote }: { archive: Buffer; remote: string }): Step[] {
  return [
    {
      name: 'load',
      enoughBytes: 1 << 20,
      run: (engine) => drain(engine.images.load(inPieces(archive))),
      undo: removed('loaded'),
    },
    {
      name: 'import',
      enoughBytes: 1 << 20,
      run: (engine) => drain(engine.images.import(inPieces(tarOf({ a: noise(90_000) })), { repo: 'imported' })),
      undo: removed('imported'),
    },
    { name: 'pull', enoughBytes: 1 << 20, run: (engine) => drain(engine.images.pull(remote)), undo: removed(remote) },
    {
      name: 'build',
      enoughBytes: 2 << 20,
      run: (engine) => drain(engine.build(inPieces(tarOf(context)), { t: ['built'], networkmode: 'none' })),
      undo: (engine) => removed('built')(engine).then(() => engine.pruneBuildCache({ all: true })),
    },
    {
      name: 'commit',
      enoughBytes: 1 << 20,
      run: (engine) => engine.images.commit('changed', { repo: 'committed' }),
      undo: removed('committed'),
    },
    {
      name: 'tag',
      enoughBytes: 1 << 18,
      run: (engine) => engine.images.tag('base', 'tagged', 'latest'),
      undo: removed('tagged'),
    },
    {
      name: 'save',
      enoughBytes: 1 << 16,
      run: (engine) => Array.fromAsync(engine.images.save(['base'])),
      undo: async () => {},
    },
    {
      name: 'create',
      enoughBytes: 1 << 19,
      run: (engine) =>
        engine.containers.create({ Image: 'base', Cmd: ['true'], Volumes: { '/v': {} } }, { name: 'new' }),
      undo: (engine) => engine.containers.remove('new', { volumes: true }).catch(absentIsFine),
    },
    {
      name: 'start',
      enoughBytes: 1 << 19,
      run: (engine) => engine.containers.start('kept'),
      undo: (engine) => engine.containers.stop('kept', { timeoutSeconds: 0 }).catch(stoppedIsFine),
    },
    {
      name: 'cp in',
      enoughBytes: 1 << 20,
      run: (engine) => engine.containers.putArchive('copied', '/', inPieces(tarOf({ copied: noise(300_000) }))),
      undo: (engine) => engine.containers.putArchive('copied', '/', inPieces(tarOf({ copied: '' }))),
    },
    {
      name: 'cp out',
      enoughBytes: 1 << 16,
      run: async (engine) => drain((await engine.containers.getArchive('kept', '/bin')).archive),
      undo: async () => {},
    },
    {
      name: 'volume',
      enoughBytes: 1 << 18,
      run: (engine) => engine.volumes.create({ Name: 'new' }),
      undo: (engine) => engine.volumes.remove('new').catch(absentIsFine),
    },
  ];
}

/** Said in words that tell what is the matter. */
const clear = /no space left on device|database or disk is full|bytes free on the disk/i;

/** What there is, by name. */
async function things(engine: Engine): Promise<string[]> {
  const images = await engine.images.list();
  const containers = await engine.containers.list({ all: true });
  const { Volumes } = await engine.volumes.list();
  return [
    ...images.flatMap(({ Id, RepoTags }) => (RepoTags ?? []).map((tag) => `${tag} ${Id}`)),
    ...containers.map(({ Names, State }) => `${Names} ${State === 'created' ? 'exited' : State}`),
    ...(Volumes ?? []).map(({ Name }) => `volume ${Name}`),
  ].sort();
}

function levels(enoughBytes: number, random: (below: number) => number): number[] {
  const count = Math.ceil(enoughBytes / blockBytes);
  if (stepBytes > 0) return Array.from({ length: Math.ceil(enoughBytes / stepBytes) }, (_, i) => i * stepBytes);
  // Most writes come within the first few hundred kilobytes.
  return [0, ...Array.from({ length: pickedLevels }, () => random(random(count) + 1) * blockBytes)];
}

test('whichever write finds no space, the call fails and says so, or succeeds: nothing is half there', async (t) => {
  if (!requireRoot(t)) return;
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using folder = await temporaryFolder('wherry-disk-steps-');
  await using registry = await serveRegistry({ root: join(folder.path, 'data'), addr: '127.0.0.1:0' });
  await using disk = await SmallDisk.make(sizeBytes);
  const flags = ['--bridge=none', '--iptables=false', '--layer-reserve=0', '--undo-grace=0'];
  await using daemon = await TestDaemon.start({ folder: disk.path, flags });
  await using engine = connect(daemon.host);
  const stocked = await stock(engine, `${registry.address.replace(/^https?:\/\//, '')}/disk/pulled:latest`);
  const failed: Record<string, string> = {};
  for (const step of steps(stocked)) {
    if (only !== undefined && only !== step.name) continue;
    const before = await things(engine);
    let failures = 0;
    const all = levels(step.enoughBytes, random);
    for (const left of all) {
      const what = `${step.name} with ${left} bytes free`;
      disk.fill(left);
      let failure: unknown;
      await step.run(engine).catch((error: unknown) => {
        failure = error;
      });
      disk.clear();
      if (failure !== undefined) {
        failures++;
        assert.match(messageOf(failure), clear, `${what}: ${messageOf(failure)}\n${daemon.log.slice(-3000)}`);
        assert.deepEqual(await things(engine), before, `${what}\n${daemon.log.slice(-3000)}`);
      }
      assert.deepEqual(await Array.fromAsync(engine.system.verify()), [], what);
      await step.undo(engine);
      assert.deepEqual(await things(engine), before, what);
    }
    failed[step.name] = `${failures} of ${all.length}`;
    await step.run(engine);
    await step.undo(engine);
  }
  t.diagnostic(`failed: ${JSON.stringify(failed)}`);
  await daemon.stop();
  await daemon.start();
  assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
});

async function stock(engine: Engine, remote: string): Promise<{ archive: Buffer; remote: string }> {
  await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base', changes: ['ENV PATH=/bin'] }));
  const files = { Dockerfile: 'FROM scratch\nCOPY d /d\n', d: noise(150_000) };
  await drain(engine.build(inPieces(tarOf(files)), { t: ['loaded', remote] }));
  const archive = Buffer.concat(await Array.fromAsync(engine.images.save(['loaded'])));
  await drain(engine.images.push(remote));
  for (const name of ['loaded', remote]) await engine.images.remove(name);
  await engine.pruneBuildCache({ all: true });
  for (const name of ['kept', 'changed', 'copied']) {
    const config = { Image: 'base', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } };
    await engine.containers.create(config, { name });
  }
  await engine.containers.putArchive('changed', '/', inPieces(tarOf({ changed: noise(100_000) })));
  return { archive, remote };
}
