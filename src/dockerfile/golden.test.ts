/**
 * Golden folders. `testdata/good/x.dockerfile` parses to `x.json`; `testdata/bad/x.dockerfile` is refused with the text in `x.error`, which is what
 * dockerd 28's classic builder answers. `UPDATE_GOLDEN=1` writes the JSON anew.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LocationError, parseDockerfile } from './index.ts';

const testdata = join(import.meta.dirname, 'testdata');

function cases(kind: 'good' | 'bad'): { name: string; path: string }[] {
  return readdirSync(join(testdata, kind))
    .filter((file) => file.endsWith('.dockerfile'))
    .map((file) => ({ name: file, path: join(testdata, kind, file) }));
}

for (const { name, path } of cases('good')) {
  test(`parses ${name}`, () => {
    const parsed = parseDockerfile(readFileSync(path));
    const golden = path.replace('.dockerfile', '.json');
    if (process.env['UPDATE_GOLDEN']) writeFileSync(golden, `${JSON.stringify(parsed, undefined, 1)}\n`);
    assert.deepEqual(JSON.parse(JSON.stringify(parsed)), JSON.parse(readFileSync(golden).toString()));
  });
}

for (const { name, path } of cases('bad')) {
  test(`refuses ${name}`, () => {
    const message = readFileSync(path.replace('.dockerfile', '.error')).toString().trimEnd();
    assert.throws(
      () => parseDockerfile(readFileSync(path)),
      (error) => error instanceof LocationError && error.message === message && error.kind === 'invalid-argument',
    );
  });
}

test('errors carry the lines they are about', () => {
  assert.throws(
    () => parseDockerfile('FROM a\nRUN x\nCOPY \\\n  one\n'),
    (error) => error instanceof LocationError && error.range.startLine === 3 && error.range.endLine === 4,
  );
});

test('a line beyond the limit is refused, one at the limit is not', () => {
  const longest = `RUN ${'x'.repeat(65_535 - 4)}`;
  assert.equal(parseDockerfile(`FROM a\n${longest}\n`).stages[0]!.instructions.length, 1);
  assert.throws(() => parseDockerfile(`FROM a\n${longest}x\n`), /line greater than max allowed size of 65535/);
});

test('hostile sizes take no time', () => {
  const many = `FROM a\n${'RUN x\n'.repeat(20_000)}`;
  assert.equal(parseDockerfile(many).stages[0]!.instructions.length, 20_000);
  const brackets = '['.repeat(60_000);
  const [cmd] = parseDockerfile(`FROM a\nCMD ${brackets}\n`).stages[0]!.instructions;
  assert.ok(cmd?.kind === 'cmd' && cmd.command.shellForm && cmd.command.args[0] === brackets);
});
