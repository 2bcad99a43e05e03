/** Build checks, as the docker CLI and `wherry build` show them. What they find is held against BuildKit's in src/dockerfile/check. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wherry, withBuilds } from './build-fixture.ts';
import { tarOf } from './images-fixture.ts';

const warned = 'FROM base as Base\nCMD echo hi\n';
const short = [
  "StageNameCasing: Stage name 'Base' should be lowercase (line 1)",
  "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
  'JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)',
];

test('the docker command is told once, before it is told what was built', (t) =>
  withBuilds(t, async ({ build }) => {
    const built = await build({ Dockerfile: warned }, '-t', 'warned');
    assert.equal(built.status, 0, built.stderr);
    const lines = built.stdout.trimEnd().split('\n');
    assert.deepEqual(
      lines.slice(-5, -2),
      short.map((line) => `[Warning] ${line}`),
    );
    assert.match(lines.slice(-2).join('\n'), /^Successfully built [0-9a-f]{12}\nSuccessfully tagged warned:latest$/);
    const quiet = await build({ Dockerfile: warned }, '-q');
    assert.match(quiet.stdout, /^sha256:[0-9a-f]{64}\n$/);
    const skipped = await build({ Dockerfile: `# check=skip=all\n${warned}` });
    assert.doesNotMatch(skipped.stdout, /Warning/);
    const argument = await build({ Dockerfile: warned }, '--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=skip=all');
    assert.doesNotMatch(argument.stdout, /Warning/);
  }));

test('error=true fails the build before anything runs', (t) =>
  withBuilds(t, async ({ build }) => {
    const files = { Dockerfile: '# check=error=true\nFROM base AS b\nRUN echo ran\nENV a b\n' };
    const failed = await build(files);
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /^lint violation found for rules: LegacyKeyValueFormat$/m);
    assert.match(failed.stdout, /\[Warning\] LegacyKeyValueFormat: .* \(line 4\)\n/);
    assert.match(failed.stdout, /\nDockerfile:4\n {3}2 \| FROM base AS b\n/);
    assert.doesNotMatch(failed.stdout, /^ran$/m);
    const fine = await build({ Dockerfile: '# check=error=true\nFROM base AS b\nENV a=b\n' });
    assert.equal(fine.status, 0, fine.stderr);
    const unknown = await build({ Dockerfile: '# check=eror=true\nFROM base\n' });
    assert.match(unknown.stderr, /failed to parse check options: invalid check option "eror"\n\nDockerfile:1\n/);
  }));

test('the environment of a base, its triggers and what .dockerignore hides count', (t) =>
  withBuilds(t, async ({ build }) => {
    const base = 'FROM base\nENV KNOWN=1\nONBUILD ENV old form\n';
    assert.equal((await build({ Dockerfile: base }, '-t', 'known')).status, 0);
    const dockerfile = '# check=experimental=all\nFROM known\nENV A=$KNOWN B=$KNOWM\nADD a.txt hid* /x/\n';
    const built = await build({
      Dockerfile: dockerfile,
      'a.txt': 'a',
      hidden: 'h',
      hidx: '',
      '.dockerignore': 'hidden\n',
    });
    const told = [...built.stdout.matchAll(/^\[Warning\] (\w+): .* \(line (\d)\)$/gm)].map(([, rule, line]) => [
      rule,
      line,
    ]);
    assert.deepEqual(told, [
      ['LegacyKeyValueFormat', '2'],
      ['UndefinedVar', '3'],
    ]);
    assert.match(built.stdout, /Usage of undefined variable '\$KNOWM' \(did you mean \$KNOWN\?\)/);
  }));

test('wherry build: below the build, short, on standard error; --check at length, with the status of buildx', (t) =>
  withBuilds(t, async (builds) => {
    const built = await wherry(builds, ['build', '-'], tarOf({ Dockerfile: warned }));
    assert.equal(built.status, 0);
    assert.doesNotMatch(built.stdout, /casing/);
    assert.equal(
      built.stderr,
      `\n3 warnings found (use --check to expand):\n${short.map((line) => ` - ${line}\n`).join('')}`,
    );
    const images = (await builds.docker.ok('images', '-aq')).length;
    const checked = await wherry(builds, ['build', '--check', '-'], tarOf({ Dockerfile: `${warned}RUN touch /x\n` }));
    assert.deepEqual([checked.status, checked.stderr], [1, '']);
    assert.ok(
      checked.stdout.startsWith(
        "Check complete, 3 warnings have been found!\n\nWARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\nStage name 'Base' should be lowercase\nDockerfile:1\n   1 | FROM base as Base\n     |              ^^^^\n",
      ),
      checked.stdout,
    );
    assert.equal((await builds.docker.ok('images', '-aq')).length, images, 'nothing is built');
    const failed = await wherry(builds, ['build', '-'], tarOf({ Dockerfile: `${warned}RUN exit 3\n` }));
    assert.equal(failed.status, 3);
    assert.match(
      failed.stderr,
      /^\n3 warnings found .*\n( - .*\n){3}The command .* returned a non-zero code: 3\n\nDocker/,
    );
    const refused = await wherry(builds, ['build', '-'], tarOf({ Dockerfile: '# check=error=true\nFROM base as b\n' }));
    assert.match(
      refused.stderr,
      /^\n1 warning found .*\n - FromAsCasing: .*\nlint violation found for rules: FromAsCasing\n/,
    );
    const fine = await wherry(builds, ['build', '--check', '-'], tarOf({ Dockerfile: 'FROM base\nRUN false\n' }));
    assert.deepEqual([fine.status, fine.stdout], [0, 'Check complete, no warnings found.\n']);
    const stages = tarOf({
      Dockerfile: 'FROM base AS a\nENV a b\nFROM base AS b\nRUN --mount=type=secret,id=x true\n',
    });
    assert.match(
      (await wherry(builds, ['build', '--check', '-'], stages)).stdout,
      /^Check complete, 1 warning has been/,
    );
    const target = await wherry(builds, ['build', '--check', '--target', 'b', '-'], stages);
    assert.deepEqual([target.status, target.stdout], [0, 'Check complete, no warnings found.\n']);
    const broken = await wherry(builds, ['build', '--check', '-'], tarOf({ Dockerfile: 'FROM base\nFOO\n' }));
    assert.deepEqual([broken.status, broken.stdout], [1, '']);
    assert.match(broken.stderr, /unknown instruction: FOO .*\n\nDockerfile:2\n/);
  }));
