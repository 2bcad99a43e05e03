/** Random Dockerfiles over random contexts, by seed: what the cache gives is what a build without it gives, elsewhere and at another time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PackEntry } from '#archive';
import { requireRoot } from '#testing';
import { type BuildInput, openWorkshop } from './builder-fixture.ts';

/** Enough for every run of the tests; more are asked for by hand. */
const builds = Number(process.env['RANDOM_BUILDS'] ?? 20);

/** Instructions; those that follow each other may well fail, so each leaves the root usable. */
const lines = [
  'COPY . /all/',
  'COPY src /src',
  'COPY --chown=1:2 src/a /owned',
  'COPY --chmod=700 src/b one /some/deep/place/',
  'COPY --parents src/sub/c /kept/',
  'ADD one /one',
  'WORKDIR /w/x',
  'ENV A=1',
  'ARG B=2',
  'RUN mkdir -p /m/n && echo $A$B > /m/n/f',
  'RUN ln -f /bin/sh /m1; ln -s nowhere /m2; true',
  'RUN rm -rf /src /all && mkdir /src',
  'RUN echo a >> /grown; chmod 600 /grown',
  'RUN touch -t 200101010101 /old; mv /old /older',
  'RUN echo $SOURCE_DATE_EPOCH > /when',
  'RUN --mount=target=/ctx,source=src cat /ctx/a > /seen',
  'RUN true',
  'USER 0',
  'LABEL l=v',
  'COPY <<heredoc /inline/\nwritten $A\nheredoc',
] as const;

const line = fc.constantFrom(...lines);
const stage = fc.array(line, { minLength: 1, maxLength: 4 });
const epoch = fc.constantFrom(undefined, undefined, undefined, '1234567890', '5');
const build = fc.record({
  first: stage,
  last: stage,
  base: fc.constantFrom('tiny', 'first', 'scratch'),
  contents: fc.array(fc.constantFrom('1', '22', '333'), { minLength: 4, maxLength: 4 }),
  epoch,
});
type RandomBuild = typeof build extends fc.Arbitrary<infer T> ? T : never;

function dockerfileOf({ first, last, base }: RandomBuild): string {
  // Nothing runs over scratch, and what is copied from a stage must be there.
  const end = base === 'scratch' ? last.filter((text) => !text.startsWith('RUN')) : last;
  const copied = ['COPY --from=first /bin /etc /copied/'];
  return ['FROM tiny AS first', ...first, `FROM ${base}`, ...copied, ...end, ''].join('\n');
}

/** The context as a client would send it that read it in another order, with times of its own. */
function inputOf(random: RandomBuild, { sec, backwards }: { sec: number; backwards: boolean }): BuildInput {
  const [a = '', b = '', c = '', one = ''] = random.contents;
  const file = (body: string): PackEntry =>
    ({ type: 'file', path: '', mode: 0o644, mtime: { sec, nsec: sec % 1000 }, body: Buffer.from(body) }) as never;
  const folder = { type: 'directory', path: '', mode: 0o755, mtime: { sec: sec + 1, nsec: 0 } } as const;
  const entries: [string, PackEntry][] = [
    ['Dockerfile', file(dockerfileOf(random))],
    ['src/a', file(a)],
    ['src/b', file(b)],
    ['src/sub/c', file(c)],
    ['one', file(one)],
  ];
  const folders: [string, PackEntry][] = [
    ['src', folder],
    ['src/sub', folder],
  ];
  const files = Object.fromEntries([...folders, ...(backwards ? entries.reverse() : entries)]);
  return { files, ...(random.epoch === undefined ? {} : { buildArgs: { SOURCE_DATE_EPOCH: random.epoch } }) };
}

test(`${builds} random builds: with a cache and without one`, async (t) => {
  if (!requireRoot(t)) return;
  await using fresh = await openWorkshop();
  await using cached = await openWorkshop();
  let hits = 0;
  const check = async (random: RandomBuild) => {
    const one = await fresh.build({ ...inputOf(random, { sec: 1_000_000_000, backwards: false }), noCache: true });
    const other = await cached.build(inputOf(random, { sec: 2_000_000_000 + hits, backwards: true }));
    hits += other.output.match(/Using cache/g)?.length ?? 0;
    assert.equal(other.id, one.id, dockerfileOf(random));
  };
  await fc.assert(fc.asyncProperty(build, check), { numRuns: builds, seed: 2026, endOnFailure: true });
  assert.ok(hits > builds / 2, `the cache was used: ${hits} times`);
});
