/** What a build would do is what it does then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireRoot } from '#testing';
import { type BuildInput, openWorkshop } from './builder-fixture.ts';

/** Lines to make Dockerfiles of; each reads a file or a variable that an edit may change. */
const blocks: readonly (readonly string[])[] = [
  ['COPY src /src'],
  ['ARG V=1', 'ENV A=$V'],
  ['COPY one two /both/'],
  ['RUN echo run > /dev/null'],
  ['WORKDIR /w', 'USER 0'],
  ['COPY --chmod=600 one /secret', 'LABEL k=v'],
  ['RUN --mount=target=/ctx,source=src cat /ctx/a > /seen'],
  ['ADD two /two'],
];

const edits: readonly ((input: { files: Record<string, string>; lines: string[] }) => Partial<BuildInput>)[] = [
  ({ files }) => {
    files['src/a'] = `${files['src/a']}+`;
    return {};
  },
  () => ({ buildArgs: { V: '2' } }),
  ({ lines }) => {
    lines[lines.length >> 1] += ' ';
    lines.splice(lines.length >> 1, 0, 'LABEL more=1');
    return {};
  },
];

test('30 Dockerfiles and 3 edits of each: the steps that were said to run are those that ran', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  let checked = 0;
  for (let number = 0; number < 30; number++) {
    const chosen = Array.from(
      { length: 3 + (number % 4) },
      (_, at) => blocks[(number * 3 + at * (1 + (number % 5))) % 8]!,
    );
    const written = [...chosen.flat()];
    const isStaged = number % 3 === 0;
    const dockerfile = (lines: readonly string[]) =>
      [
        `FROM tiny AS made`,
        `LABEL number=${number}`,
        ...lines,
        ...(isStaged ? ['FROM made', 'ENV last=1'] : []),
        '',
      ].join('\n');
    for (const edit of [() => ({}), ...edits]) {
      const input = { files: { 'src/a': `${number}`, one: '1', two: '2' }, lines: [...written] };
      const more = edit(input);
      const build = { files: { ...input.files, Dockerfile: dockerfile(input.lines) }, ...more };
      const said = await workshop.predict(build);
      const { explanations } = await workshop.build(build);
      const ran = (steps: readonly { step: number; outcome: string }[]) =>
        steps.filter((step) => step.outcome === 'run').map(({ step }) => step);
      assert.deepEqual(ran(said), ran(explanations), build.files.Dockerfile);
      checked++;
    }
  }
  assert.equal(checked, 120);
});

test('what comes after a step that then leaves the same as before runs less than was said', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const files = { Dockerfile: 'FROM tiny\nRUN --mount=target=/ctx true\nRUN echo x > /x\n', f: '1' };
  await workshop.build({ files });
  const changed = { files: { ...files, f: '2' } };
  const said = await workshop.predict(changed);
  assert.deepEqual(
    said.map(({ outcome }) => outcome),
    ['run', 'run'],
  );
  const { explanations } = await workshop.build(changed);
  assert.deepEqual(
    explanations.map(({ outcome }) => outcome),
    ['run', 'cached'],
  );
});

test('nothing runs and nothing is pulled for a plan; what steps took is remembered', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const { images } = workshop.host.metadata;
  const files = { Dockerfile: 'FROM tiny\nRUN echo x > /x\nCOPY f /f\n', f: '1' };
  const before = images.list().length;
  const first = await workshop.predict({ files });
  assert.deepEqual(
    first.map(({ outcome, expectedMs, text, line }) => [outcome, expectedMs, text, line]),
    [
      ['run', undefined, 'RUN echo x > /x', 2],
      ['run', undefined, 'COPY f /f', 3],
    ],
  );
  assert.equal(images.list().length, before);
  assert.equal(workshop.steps.length, 0);
  await workshop.build({ files });
  const [again] = await workshop.predict({ files, noCache: true });
  assert.ok(again!.expectedMs! > 0 && again!.expectedBytes! > 0);
  const unknown = await workshop.predict({ files: { Dockerfile: 'FROM nosuch:1\nENV A=1\nRUN x\n' } });
  assert.deepEqual(
    unknown.map(({ outcome }) => outcome),
    ['run', 'run'],
  );
  const foreign = await workshop.predict({ files, platform: 'linux/s390x' });
  assert.deepEqual(
    foreign.map(({ emulated, platform }) => [emulated, platform]),
    [
      [true, 'linux/s390x'],
      [false, 'linux/s390x'],
    ],
  );
  await assert.rejects(workshop.predict({ files: { Dockerfile: 'FROM tiny\nCOPY nosuch /x\n' } }), /stat nosuch/);
});
