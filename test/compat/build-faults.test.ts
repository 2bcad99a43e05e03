/** What is told of a build that fails: the words of dockerd, and beside them the lines of the Dockerfile. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connect } from '#client';
import { messageOf, placeOf } from '#errdefs';
import { fromBytes } from '#streams';
import { wherry, withBuilds } from './build-fixture.ts';
import { tarOf } from './images-fixture.ts';

test('a fault found before the build begins: the docker command shows the lines below the message', (t) =>
  withBuilds(t, async ({ build }) => {
    const failed = await build({ Dockerfile: 'FROM base\nENV A=1\nCOYP a b\nRUN true\n' });
    assert.equal(failed.status, 1);
    const message = 'dockerfile parse error on line 3: unknown instruction: COYP (did you mean COPY?)';
    const lines = 'Dockerfile:3\n   1 | FROM base\n   2 | ENV A=1\n   3 | COYP a b\n     | ^^^^\n   4 | RUN true';
    assert.ok(failed.stderr.endsWith(`Error response from daemon: ${message}\n\n${lines}\n`), failed.stderr);
  }));

test('programs are given the bare message, and the place beside it', (t) =>
  withBuilds(t, async ({ daemon }) => {
    await using engine = connect(daemon.host);
    const failureOf = async (dockerfile: string) => {
      try {
        await Array.fromAsync(engine.build(fromBytes(tarOf({ Dockerfile: dockerfile }))));
      } catch (error) {
        return { message: messageOf(error), place: placeOf(error) };
      }
      return assert.fail('it builds');
    };
    const parse = await failureOf('FROM base\nFOO\n');
    assert.deepEqual(parse, {
      message: 'dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)',
      place: {
        file: 'Dockerfile',
        startLine: 2,
        endLine: 2,
        excerpt: 'Dockerfile:2\n   1 | FROM base\n   2 | FOO\n     | ^^^\n',
      },
    });
    const run = await failureOf('FROM base\nRUN seq 1 15; echo last >&2; \\\n  exit 9\n');
    assert.match(run.message, /^The command '\/bin\/sh -c seq .*exit 9' returned a non-zero code: 9$/);
    assert.deepEqual([run.place?.startLine, run.place?.endLine], [2, 3]);
    assert.equal(run.place?.output, '7\n8\n9\n10\n11\n12\n13\n14\n15\nlast');
  }));

const faults: readonly (readonly [string, string, string?])[] = [
  ['COPY --from=biuld /x /y', 'biuld', 'There is no stage biuld: did you mean build?'],
  ['COPY helo.txt /y', 'helo.txt'],
  ['COPY --chmod=99 hello.txt /', '99'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of a Dockerfile
  ['ENV A=${B:?please}', '${B:?please}'],
  ['EXPOSE 1 99999999', '99999999'],
  ['RUN true; exit 3', 'RUN true; exit 3'],
  ['ADD http://127.0.0.1:1/x /', 'http://127.0.0.1:1/x'],
];

for (const [line, words, hint] of faults) {
  test(`a fault of a step, ${line}: shown behind its step, the error stays as it is`, (t: TestContext) =>
    withBuilds(t, async ({ build }) => {
      const files = { Dockerfile: `FROM base AS build\nFROM base\n${line}\nUSER x\n`, 'hello.txt': 'hello' };
      const failed = await build(files);
      assert.notEqual(failed.status, 0);
      const caret = `     | ${' '.repeat(line.indexOf(words))}${'^'.repeat(words.length)}\n`;
      const shown = `\nDockerfile:3\n   1 | FROM base AS build\n   2 | FROM base\n   3 | ${line}\n${caret}   4 | USER x\n`;
      assert.ok(failed.stdout.endsWith(`${shown}${hint === undefined ? '' : `${hint}\n`}\n`), failed.stdout);
      assert.doesNotMatch(failed.stderr, /Dockerfile:3/);
    }));
}

test('a quiet build shows what failed and where, on standard error', (t) =>
  withBuilds(t, async ({ build }) => {
    const failed = await build({ Dockerfile: 'FROM base\nRUN echo said; exit 4\n' }, '-q');
    assert.deepEqual([failed.status, failed.stdout], [4, '']);
    assert.match(failed.stderr, /said\n\nDockerfile:2\n {3}1 \| FROM base\n {3}2 \| RUN echo said; exit 4\n/);
    assert.match(failed.stderr, /returned a non-zero code: 4\n$/);
  }));

test('the wherry client: the lines below the error, what the command said last above it', (t) =>
  withBuilds(t, async (builds) => {
    const tar = tarOf({ Dockerfile: 'FROM base\nRUN echo said; exit 4\n' });
    const failed = await wherry(builds, ['build', '-'], tar);
    assert.equal(failed.status, 4);
    assert.doesNotMatch(failed.stdout, /Dockerfile:2/);
    const place = 'Dockerfile:2\n   1 | FROM base\n   2 | RUN echo said; exit 4\n     | ^^^^^^^^^^^^^^^^^^^^^\n';
    const message = "The command '/bin/sh -c echo said; exit 4' returned a non-zero code: 4";
    assert.ok(
      failed.stderr.startsWith(
        `said\n${message}\n\n${place}\nA shell where it failed: build again with --shell-on-fail\n`,
      ),
      failed.stderr,
    );
    const target = await wherry(
      builds,
      ['build', '--target', 'buidl', '-'],
      tarOf({ Dockerfile: 'FROM base AS build\n' }),
    );
    const stage = 'Dockerfile:1\n   1 | FROM base AS build\n     |              ^^^^^\nDid you mean build?\n';
    assert.equal(target.stderr, `Error response from daemon: target stage "buidl" could not be found\n\n${stage}`);
  }));

test('a frontend that the Dockerfile asks for and that is not used is named', (t) =>
  withBuilds(t, async ({ build }) => {
    const other = await build({ Dockerfile: '# syntax=example.com/front:1\nFROM base\n' });
    assert.equal(other.status, 0, other.stderr);
    assert.match(other.stdout, /\[WARNING\]: The frontend example\.com\/front:1 is not used: /);
    for (const name of ['docker/dockerfile:1', 'docker.io/docker/dockerfile:1.7-labs', 'docker/dockerfile-upstream']) {
      const own = await build({ Dockerfile: `# syntax=${name}\nFROM base\n` });
      assert.doesNotMatch(own.stdout, /WARNING/, name);
    }
  }));

test('triggers of a base are blamed on the FROM that brings them; an ARG that nothing declares is named', (t) =>
  withBuilds(t, async ({ build }) => {
    assert.equal((await build({ Dockerfile: 'FROM base\nONBUILD COPY nope /\n' }, '-t', 'triggers')).status, 0);
    const failed = await build({ Dockerfile: 'ARG A\nFROM triggers\nRUN true\n' });
    assert.match(failed.stdout, /\nDockerfile:2\n {3}1 \| ARG A\n {3}2 \| FROM triggers\n {5}\| {6}\^{8}\n/);
    const blank = await build({ Dockerfile: 'ARG BASE=base\nFROM $BAES\n' });
    assert.match(blank.stderr, /base name \(\$BAES\) should not be blank\n\nDockerfile:2\n/);
    assert.match(blank.stderr, /declares BAES: did you mean BASE\?\n$/);
  }));
