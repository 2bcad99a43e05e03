/** `wherry history --blame`: the bytes of built images by the line of the Dockerfile that made them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageBlame } from '#api-types';
import { type Builds, wherry, withBuilds } from './build-fixture.ts';

const baseFile = 'FROM base\nRUN mkdir /made && echo x > /made/x\n\nCOPY big /srv/big\n';
const wastefulFile = `FROM mine AS first
COPY big other /srv/
RUN chown -R 7:8 /srv/big && rm /srv/other
FROM first
COPY big /twin
COPY last /srv/big
`;

async function blameOf(builds: Builds, image: string): Promise<ImageBlame> {
  const told = await wherry(builds, ['history', '--blame', '--json', image]);
  assert.equal(told.status, 0, told.stderr);
  return JSON.parse(told.stdout) as ImageBlame;
}

test('lines, files and waste of a build, and of the build below it; every byte counted once', (t) =>
  withBuilds(t, async (builds) => {
    const files = { big: 'b'.repeat(9000), other: 'o'.repeat(5000), last: 'l' };
    const base = await builds.build({ ...files, Dockerfile: baseFile }, '-t', 'mine');
    assert.equal(base.status, 0, base.stderr);
    const built = await builds.build({ ...files, Dockerfile: wastefulFile }, '-t', 'wasteful');
    assert.equal(built.status, 0, built.stderr);
    const blame = await blameOf(builds, 'wasteful');
    const sum = (sums: object) => Object.values(sums).reduce((all: number, bytes: number) => all + bytes, 0);
    const size = Number(await builds.docker.ok('image', 'inspect', '-f', '{{.Size}}', 'wasteful'));
    assert.deepEqual([blame.sizeBytes, sum(blame.sums)], [size, size]);
    for (const { sums, sizeBytes } of blame.layers) assert.equal(sum(sums), sizeBytes);
    assert.deepEqual(
      blame.layers.slice(-6).map(({ image, line, text }) => [image, line, text]),
      [
        ['mine:latest', 2, 'RUN mkdir /made && echo x > /made/x'],
        ['mine:latest', 4, 'COPY big /srv/big'],
        [undefined, 2, 'COPY big other /srv/'],
        [undefined, 3, 'RUN chown -R 7:8 /srv/big && rm /srv/other'],
        [undefined, 5, 'COPY big /twin'],
        [undefined, 6, 'COPY last /srv/big'],
      ],
    );
    const top = blame.layers.length - 1;
    const fates = blame.layers
      .slice(-5)
      .flatMap(({ largest }) =>
        largest
          .filter(({ path }) => /big|other|twin/.test(path))
          .map(({ path, kind, by, aspects }) => [path, kind, by, aspects?.join()]),
      );
    assert.deepEqual(fates, [
      // Copied again and given to another owner, and then overwritten: its contents are seen no more.
      ['/srv/big', 'overwritten', top, undefined],
      ['/srv/big', 'copied', undefined, ''],
      ['/srv/other', 'deleted', top - 2, undefined],
      ['/srv/big', 'copied', undefined, 'owner'],
      ['/srv/.wh.other', 'kept', undefined, undefined],
      ['/twin', 'kept', undefined, undefined],
      ['/srv/big', 'kept', undefined, undefined],
    ]);
    const text = (await wherry(builds, ['history', '--blame', '--files', '2', 'wasteful'])).stdout;
    assert.match(text, new RegExp(`^\\d[^\\n]* \\(${size} bytes\\), waste \\S+ \\(\\d+\\.\\d %\\): overwritten `));
    assert.match(text, /\nlayer \d+ {2}\S+ in \d+ files {2}line 3: RUN chown -R 7:8 \/srv\/big && rm \/srv\/other\n/);
    assert.match(text, / {2}9\.73kB {2}\/srv\/big {2}copied from layer \d+: owner changed\n/);
    assert.match(text, /\nlayer \d+ {2}\S+ in 2 files {2}line 4 of mine:latest: COPY big \/srv\/big\n/);
    const missing = await wherry(builds, ['history', '--blame', 'nope']);
    assert.deepEqual([missing.status, missing.stderr], [1, 'Error response from daemon: No such image: nope:latest\n']);
  }));

test('an image that was loaded is told by its history', (t) =>
  withBuilds(t, async (builds) => {
    const [layer] = (await blameOf(builds, 'base')).layers;
    const [item] = JSON.parse(
      await builds.docker.ok('history', '--no-trunc', '--format', '[{{json .CreatedBy}}]', 'base'),
    );
    assert.deepEqual([layer!.line, layer!.text.split(' ')[0]], [undefined, (item || 'Imported').split(' ')[0]]);
  }));
