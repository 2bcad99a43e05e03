/** The same Dockerfile and context give the same image, wherever and whenever; `SOURCE_DATE_EPOCH` names another moment, or the clock. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type PackEntry, readTar } from '#archive';
import type { DiffID, Digest } from '#oci';
import { requireRoot } from '#testing';
import { type BuildInput, openWorkshop, type Workshop } from './builder-fixture.ts';

/** When the base of the workshop was made. */
const baseSec = Date.parse('2020-01-01T00:00:00Z') / 1000;

const dockerfile = [
  'FROM tiny AS made',
  'WORKDIR /new/folder',
  'COPY src /src',
  'RUN mkdir /d && echo built > /d/f && ln /d/f /d/g && ln -s f /d/l && busybox cp /src/a /copied && busybox touch -t 200001010000 /old',
  'RUN rm -r /src',
  'FROM made',
  'COPY --from=made /d /e',
  'ADD a.tar /unpacked/',
  'COPY <<text /text',
  'written',
  'text',
  'LABEL a=b',
  '',
].join('\n');

const file = (body: string | Uint8Array, sec: number): PackEntry & { body: Uint8Array } =>
  ({ type: 'file', path: '', mode: 0o644, mtime: { sec, nsec: 5 }, body: Buffer.from(body as string) }) as never;

function input(sec: number, buildArgs: BuildInput['buildArgs']): BuildInput {
  const files = {
    Dockerfile: dockerfile,
    'src/a': file('a', sec),
    'src/b': file('b', sec - 1_000_000_000),
    'a.tar': file('', sec),
  };
  return { files, noCache: true, ...(buildArgs ? { buildArgs } : {}) };
}

/** Build arguments, and the moment they mean. */
const builds: readonly (readonly [BuildInput['buildArgs'], number | undefined])[] = [
  [undefined, baseSec],
  [{ SOURCE_DATE_EPOCH: null }, baseSec],
  [{ SOURCE_DATE_EPOCH: '1600000000' }, 1_600_000_000],
  [{ SOURCE_DATE_EPOCH: '0' }, 0],
  [{ SOURCE_DATE_EPOCH: '4102444800' }, 4_102_444_800],
  [{ SOURCE_DATE_EPOCH: '' }, undefined],
];

test('two builds are one image, whatever the driver, the times of the context and the clock', async (t) => {
  if (!requireRoot(t)) return;
  await using one = await openWorkshop('overlay2');
  await using other = await openWorkshop('vfs');
  const first = await buildAll(one, 1_700_000_000);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const second = await buildAll(other, 1_500_000_000);
  for (const [index, [buildArgs, sec]] of builds.entries()) {
    const text = JSON.stringify(buildArgs);
    if (sec === undefined) assert.notEqual(first[index], second[index], text);
    else assert.equal(first[index], second[index], text);
  }
});

async function buildAll(workshop: Workshop, contextSec: number): Promise<Digest[]> {
  const ids: Digest[] = [];
  for (const [buildArgs, sec] of builds) {
    const { id, output } = await workshop.build(input(contextSec, buildArgs));
    assert.doesNotMatch(output, /were not consumed/);
    if (sec !== undefined) await checkTimes(workshop, id, sec);
    ids.push(id);
  }
  return ids;
}

async function checkTimes(workshop: Workshop, id: Digest, sec: number): Promise<void> {
  const { created, history, rootfs } = await workshop.config(id);
  assert.equal(created, new Date(sec * 1000).toISOString().replace('.000Z', 'Z'));
  for (const entry of history!.slice(1)) assert.equal(entry.created, created);
  const times = await timesOf(workshop, rootfs.diff_ids.slice(1));
  for (const [path, at] of times) {
    if (path.startsWith('./old') || path === 'old') assert.equal(at, Math.min(sec, 946_684_800), path);
    else assert.ok(at <= sec, path);
  }
  for (const path of ['src', 'src/a', 'src/b', 'new/folder', 'd/f', 'e', 'text'])
    assert.equal(times.get(path), sec, path);
}

async function timesOf(workshop: Workshop, layers: readonly DiffID[]): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const layer of layers) {
    for await (const item of readTar(workshop.host.content.open(layer))) {
      times.set(item.path.replace(/\/$/, ''), item.mtime.sec);
    }
  }
  return times;
}

test('a command sees the moment, unless the Dockerfile says another; nothing of it is in the image', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const build = async (lines: string, buildArgs: BuildInput['buildArgs'] = {}) => {
    const { output, id } = await workshop.build({ files: { Dockerfile: `FROM tiny\n${lines}` }, buildArgs });
    return { seen: /\nsaw (.*)\.\n/.exec(output)?.[1], config: await workshop.config(id) };
  };
  const run = 'RUN echo "saw $SOURCE_DATE_EPOCH."\n';
  const { seen, config } = await build(run);
  assert.equal(seen, String(baseSec));
  assert.deepEqual(config.config?.Env, ['PATH=/bin']);
  assert.equal(config.history!.at(-1)!.created_by, '/bin/sh -c echo "saw $SOURCE_DATE_EPOCH."');
  assert.equal((await build(run, { SOURCE_DATE_EPOCH: '77' })).seen, '77');
  assert.equal((await build(run, { SOURCE_DATE_EPOCH: '' })).seen, '');
  assert.equal((await build(`ENV SOURCE_DATE_EPOCH=5\n${run}`)).seen, '5');
  assert.equal((await build(`ARG SOURCE_DATE_EPOCH=6\n${run}`)).seen, '6');
  assert.equal((await build(`ARG SOURCE_DATE_EPOCH\n${run}`)).seen, String(baseSec));
  const declared = await build(`ARG SOURCE_DATE_EPOCH\n${run}`, { SOURCE_DATE_EPOCH: '7' });
  assert.equal(declared.seen, '7');
  assert.match(declared.config.history!.at(-1)!.created_by!, /^\|1 SOURCE_DATE_EPOCH=7 /);
});

test('what nothing is under is of 1980; what is copied from counts, what is not used does not', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const created = async (lines: string[]) => {
    const { id } = await workshop.build({ files: { Dockerfile: `${lines.join('\n')}\n`, f: 'f' } });
    return (await workshop.config(id)).created;
  };
  assert.equal(await created(['FROM scratch', 'COPY f /f']), '1980-01-01T00:00:00Z');
  assert.equal(await created(['FROM tiny', 'FROM scratch', 'COPY f /f']), '1980-01-01T00:00:00Z');
  assert.equal(await created(['FROM tiny AS a', 'FROM scratch', 'COPY --from=a /tmp /t']), '2020-01-01T00:00:00Z');
  assert.equal(await created(['FROM scratch', 'COPY --from=tiny /tmp /t', 'LABEL a=b']), '2020-01-01T00:00:00Z');
});

test('a copy from a stage whose files are of another date is made again', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const files = (date: string) => ({
    Dockerfile: `FROM tiny AS a\nRUN echo x > /x && touch -t ${date} /x\nFROM tiny\nCOPY --from=a /x /y\n`,
  });
  const first = await workshop.build({ files: files('200001010000') });
  const second = await workshop.build({ files: files('200101010000') });
  assert.notEqual(second.id, first.id);
  const fresh = await workshop.build({ files: files('200101010000'), noCache: true });
  assert.equal(fresh.id, second.id);
});

test('an image shows when it was made here, also after it was made again', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const beforeMs = Date.now();
  const files = { Dockerfile: 'FROM tiny\nLABEL a=b\n' };
  const { id } = await workshop.build({ files });
  const { createdMs } = workshop.host.metadata.images.get(id)!;
  assert.ok(createdMs >= beforeMs && createdMs <= Date.now());
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await workshop.build({ files, noCache: true })).id, id);
  assert.equal(workshop.host.metadata.images.get(id)!.createdMs, createdMs);
  const given = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '1600000000' } });
  assert.equal(workshop.host.metadata.images.get(given.id)!.createdMs, 1_600_000_000_000);
});

test('the moment is part of the cache key; one that is none is refused', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const files = { Dockerfile: 'FROM tiny\nRUN echo x > /x\n' };
  const first = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '1' } });
  const again = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '1' } });
  const other = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '2' } });
  assert.equal(again.id, first.id);
  assert.match(again.output, /Using cache/);
  assert.notEqual(other.id, first.id);
  const plain = await workshop.build({ files });
  assert.doesNotMatch(plain.output, /Using cache/);
  const same = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: String(baseSec) } });
  assert.equal(same.id, plain.id);
  const clock = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '' } });
  assert.doesNotMatch(clock.output, /Using cache/);
  for (const text of ['yesterday', '-1', '1.5', '999999999999999']) {
    const refused = workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: text } });
    await assert.rejects(refused, /invalid SOURCE_DATE_EPOCH: ".*" is no number of seconds/);
  }
});

test('--cache-from gives a step only where it gives the same image', async (t: TestContext) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const files = { Dockerfile: 'FROM tiny\nRUN echo x > /x\nLABEL a=b\n' };
  const old = await workshop.build({ files, tags: ['old'], buildArgs: { SOURCE_DATE_EPOCH: '' } });
  const cacheFrom = ['old'];
  const fresh = await workshop.build({ files, cacheFrom });
  assert.doesNotMatch(fresh.output, /Using cache/);
  await workshop.host.metadata.buildCache.remove(workshop.host.metadata.buildCache.list().map(({ key }) => key));
  const byClock = await workshop.build({ files, cacheFrom, buildArgs: { SOURCE_DATE_EPOCH: '' } });
  assert.equal(byClock.id, old.id);
  await workshop.host.metadata.images.tag(fresh.id, 'docker.io/library/old:latest');
  const cached = await workshop.build({ files, cacheFrom });
  assert.equal(cached.output.match(/Using cache/g)?.length, 2);
  assert.equal(cached.id, fresh.id);
});
