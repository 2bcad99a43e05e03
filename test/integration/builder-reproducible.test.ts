/** `SOURCE_DATE_EPOCH`: the same Dockerfile and context give the same image, wherever and whenever. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PackEntry } from '#archive';
import { requireRoot } from '#testing';
import { type BuildInput, openWorkshop } from './builder-fixture.ts';

const dockerfile = [
  'FROM tiny AS made',
  'WORKDIR /new/folder',
  'COPY src /src',
  'RUN mkdir /d && echo built > /d/f && ln /d/f /d/g && ln -s f /d/l && busybox cp /src/a /copied && busybox touch -t 200001010000 /old',
  'RUN rm -r /src',
  'FROM made',
  'COPY --from=made /d /e',
  'LABEL a=b',
  '',
].join('\n');

const file = (text: string, sec: number): PackEntry & { body: Uint8Array } =>
  ({ type: 'file', path: '', mode: 0o644, mtime: { sec, nsec: 5 }, body: Buffer.from(text) }) as never;

function input(sec: number, buildArgs: BuildInput['buildArgs']): BuildInput {
  const files = { Dockerfile: dockerfile, 'src/a': file('a', sec), 'src/b': file('b', 1) };
  return { files, noCache: true, ...(buildArgs ? { buildArgs } : {}) };
}

/** The images of two builds in stores of their own, a while apart. */
async function builtTwice(t: TestContext, buildArgs: BuildInput['buildArgs']): Promise<string[] | undefined> {
  if (!requireRoot(t)) return undefined;
  const ids: string[] = [];
  for (const [number, driver] of (['overlay2', 'vfs'] as const).entries()) {
    await using workshop = await openWorkshop(driver);
    const { id, output } = await workshop.build(input(1_700_000_000 + number, buildArgs));
    assert.doesNotMatch(output, /were not consumed/);
    const { created, history } = await workshop.config(id);
    const epoch = buildArgs?.['SOURCE_DATE_EPOCH'];
    if (epoch) assert.equal(Date.parse(created!), Number(epoch) * 1000);
    if (epoch) assert.equal(Date.parse(history!.at(-1)!.created!), Number(epoch) * 1000);
    ids.push(id);
    await new Promise((resolve) => setTimeout(resolve, 1100));
  }
  return ids;
}

test('with an epoch two builds are one image', async (t) => {
  const ids = await builtTwice(t, { SOURCE_DATE_EPOCH: '1600000000' });
  if (ids) assert.equal(ids[0], ids[1]);
});

test('without one they are not', async (t) => {
  const ids = await builtTwice(t, undefined);
  if (ids) assert.notEqual(ids[0], ids[1]);
});

test('the epoch is part of the cache key; one that is none is refused', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const files = { Dockerfile: 'FROM tiny\nRUN echo x > /x\n' };
  const first = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '1' } });
  const again = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '1' } });
  const other = await workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: '2' } });
  assert.equal(again.id, first.id);
  assert.match(again.output, /Using cache/);
  assert.notEqual(other.id, first.id);
  for (const text of ['yesterday', '-1', '1.5', '999999999999999']) {
    const refused = workshop.build({ files, buildArgs: { SOURCE_DATE_EPOCH: text } });
    await assert.rejects(refused, /invalid SOURCE_DATE_EPOCH: ".*" is no number of seconds/);
  }
});
