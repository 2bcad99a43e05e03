import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDockerfile } from '#dockerfile';
import { EngineError, ExitError } from '#errdefs';
import type { Digest } from '#oci';
import { BuildPlan, type ResolvedBase } from '../convert/index.ts';
import type { BuildSession } from '../executor/index.ts';
import { buildGraph } from '../graph.ts';
import { failureText } from './failure-text.ts';
import type { BuildStatus } from './types.ts';
import { BuildWatch } from './watch.ts';

const platform = { os: 'linux', architecture: 'amd64' };

/** What BuildKit told of builds: their vertexes, by name, and the names of their inputs. */
const recorded: { dockerfile: string; vertexes: { name: string; inputs: string[] }[] }[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'testdata/vertexes.json')).toString(),
);

function watched(dockerfile: string, { shownPlatform = '', env = [] as string[], triggers = [] as string[] } = {}) {
  const read = parseDockerfile(Buffer.from(dockerfile), { name: 'Dockerfile' });
  const plan = new BuildPlan(read, {
    ...{ target: '', labels: {}, buildArgs: {}, networkMode: 'default' },
    buildPlatform: platform,
    targetPlatform: platform,
  });
  const statuses: BuildStatus[] = [];
  const watch = new BuildWatch((status) => statuses.push(status), shownPlatform);
  watch.on({ kind: 'planned', plan, warnings: [], remark: undefined });
  const base: ResolvedBase = {
    id: `sha256:${'a'.repeat(64)}` as Digest,
    config: {
      ...platform,
      config: { Env: env, ...(triggers.length > 0 ? { OnBuild: triggers } : {}) },
      rootfs: { type: 'layers', diff_ids: [] },
    },
  };
  const stages = plan.convert(new Map(plan.stages.map(({ stage }) => [stage.index, base])));
  const images = new Map<string, ResolvedBase>([
    ['base:1', base],
    ['tiny:1', base],
  ]);
  const graph = buildGraph({ host: { platform }, request: {} } as BuildSession, stages, images);
  watch.on({ kind: 'graph', graph, stages });
  const listed = statuses.flatMap((status) => (status.kind === 'vertexes' ? status.vertexes : []));
  return { watch, statuses, graph, listed };
}

function namesOf({ listed }: ReturnType<typeof watched>) {
  const names = new Map(listed.map(({ digest, name }) => [digest, name]));
  return listed
    .map(({ name, inputs }) => ({ name, inputs: inputs.map((digest) => names.get(digest)) }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

for (const { dockerfile, vertexes } of recorded) {
  test(`vertexes of ${JSON.stringify(dockerfile.slice(0, 60))}… are those of BuildKit`, () => {
    assert.deepEqual(namesOf(watched(dockerfile)), vertexes);
  });
}

test('vertexes are listed from the last step to the first image', () => {
  const { listed } = watched('FROM base:1\nRUN one\nCOPY a b\n');
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['[3/3] COPY a b', '[internal] load build context', '[2/3] RUN one', '[1/3] FROM docker.io/library/base:1'],
  );
});

test('triggers of the base count once it is known', () => {
  const { listed } = watched('FROM base:1\nRUN last\n', { triggers: ['RUN first', 'ENV a=b', 'COPY x /x'] });
  assert.deepEqual(
    listed.map(({ name }) => name).filter((name) => !name.includes('context')),
    ['[4/5] RUN last', '[3/5] ONBUILD COPY x /x', '[2/5] ONBUILD RUN first', '[1/2] FROM docker.io/library/base:1'],
  );
});

test('a build for several platforms names them', () => {
  const { listed } = watched('FROM base:1 AS a\nRUN x\n', { shownPlatform: 'linux/arm64' });
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['[linux/arm64 2/2] RUN x', '[linux/arm64 1/2] FROM docker.io/library/base:1'],
  );
});

test('a step that two platforms have in common is a vertex of each', () => {
  const of = (shownPlatform: string) => watched('FROM base:1\nRUN x\n', { shownPlatform }).listed;
  const [one, two] = [of('linux/amd64'), of('linux/arm64')];
  assert.equal(new Set([...one, ...two].map(({ digest }) => digest)).size, 4);
  assert.deepEqual(two[0]?.inputs, [two[1]?.digest]);
});

test('the same line over the same image has the same digest in every build', () => {
  const digests = (text: string) => watched(text).listed.map(({ digest }) => digest);
  assert.deepEqual(digests('FROM base:1\nRUN x\n'), digests('FROM base:1\nRUN x\n'));
  assert.notDeepEqual(digests('FROM base:1\nRUN x\n'), digests('FROM base:1\nRUN y\n'));
});

test('a pull begins at the image once it was found, and a lookup for two stages is one', () => {
  const { watch, statuses } = watched('FROM base:1 AS a\nRUN x\nFROM base:1\nRUN y\nCOPY --from=a /x /x\n');
  const names = new Map(
    statuses.flatMap((s) => (s.kind === 'vertexes' ? s.vertexes : [])).map(({ digest, name }) => [digest, name]),
  );
  statuses.length = 0;
  const image = { kind: 'image', reference: 'base:1' } as const;
  watch.on({ ...image, step: 1, state: 'started' });
  watch.on({ ...image, step: 3, state: 'started' });
  watch.on({ ...image, step: 1, state: 'progress', message: { status: 'Pulling from library/base', id: '1' } });
  watch.on({ ...image, step: 1, state: 'done' });
  const message = { status: 'Downloading', id: 'abc', progressDetail: { current: 1, total: 2 } };
  watch.on({ ...image, step: 3, state: 'progress', message });
  watch.on({ ...image, step: 3, state: 'done' });
  for (const status of statuses)
    if (status.kind === 'vertexes') for (const v of status.vertexes) names.set(v.digest, v.name);
  const told = statuses.flatMap((status) => ('digest' in status ? [`${status.kind} ${names.get(status.digest)}`] : []));
  assert.deepEqual(told, [
    'started [internal] load metadata for docker.io/library/base:1',
    'done [internal] load metadata for docker.io/library/base:1',
    'started [stage-1 1/3] FROM docker.io/library/base:1',
    'progress [stage-1 1/3] FROM docker.io/library/base:1',
  ]);
});

test('steps that only change the configuration are not told of; others as they go', () => {
  const { watch, statuses, graph, listed } = watched('FROM base:1\nENV a=b\nRUN x\n');
  statuses.length = 0;
  const error = new ExitError('The command …', { code: 3, command: '/bin/sh -c x "y"' });
  for (const { vertex, operation } of [...graph.byDigest.values()].flat()) {
    watch.on({ kind: 'vertex', digest: vertex.digest, event: { kind: 'started' } });
    if (operation.kind !== 'run') watch.on({ kind: 'vertex', digest: vertex.digest, event: { kind: 'done' } });
    else {
      const output = { kind: 'output', stream: 'stderr', data: Buffer.from('no\n') };
      watch.on({ kind: 'vertex', digest: vertex.digest, event: { kind: 'report', event: output } });
      watch.on({ kind: 'vertex', digest: vertex.digest, event: { kind: 'failed', error } });
    }
  }
  const [run, from] = listed.map(({ digest }) => digest);
  assert.deepEqual(statuses, [
    { kind: 'started', digest: from },
    { kind: 'cached', digest: from },
    { kind: 'done', digest: from },
    { kind: 'started', digest: run },
    { kind: 'output', digest: run, stream: 'stderr', data: Buffer.from('no\n') },
    { kind: 'failed', digest: run, error },
  ]);
});

test('a command that failed is told in the words of BuildKit, everything else in its own', () => {
  const error = new ExitError('The command …', { code: 3, command: '/bin/sh -c x "y"' });
  assert.equal(failureText(error), 'process "/bin/sh -c x \\"y\\"" did not complete successfully: exit code: 3');
  assert.equal(failureText(new EngineError('not-found', 'no such thing')), 'no such thing');
});
