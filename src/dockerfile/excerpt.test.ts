import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blamedWords } from './blame.ts';
import { excerptOf } from './excerpt.ts';
import { LocationError, parseDockerfile } from './index.ts';

/** What a parse error of the text looks like below its message. */
function excerptOfFault(text: string): string {
  try {
    parseDockerfile(text);
  } catch (error) {
    assert.ok(error instanceof LocationError);
    const { startLine, endLine } = error.range;
    const source = text
      .split('\n')
      .slice(startLine - 1, endLine)
      .join('\n');
    return excerptOf(text, { name: 'Dockerfile', range: error.range, words: blamedWords(error.fact, source) });
  }
  return assert.fail('it parses');
}

test('two lines before and after, a caret under the words', () => {
  assert.equal(
    excerptOfFault('FROM a\nRUN one\nENV A=1\nCOYP x y\nRUN two\nRUN three\nRUN four\n'),
    'Dockerfile:4\n   2 | RUN one\n   3 | ENV A=1\n   4 | COYP x y\n     | ^^^^\n   5 | RUN two\n   6 | RUN three\n',
  );
});

const underlined: readonly (readonly [string, string])[] = [
  ['FROM a\nCOPY --fro=b x y\n', '--fro'],
  ['FROM a\nCOPY --chown x y\n', '--chown'],
  ['FROM a\nCOPY --link=perhaps x y\n', 'perhaps'],
  ['FROM a AS 1a\n', '1a'],
  ['FROM a\nENV A=1 c\n', 'c'],
  ['FROM a\nRUN --network=other x\n', 'other'],
  ['FROM a\nRUN --mount=type=bind,from=$x,target=/y true\n', 'from'],
  ['FROM a\nHEALTHCHECK --retries=-1 CMD x\n', '--retries'],
  ['FROM a\nHEALTHCHECK --interval=5y CMD x\n', '5y'],
  ['FROM a\nHEALTHCHECK FOO x\n', 'FOO'],
  ['FROM a\nONBUILD FROM x\n', 'FROM'],
  ['FROM a\nUSER\n', 'USER'],
  ['# escape=x\nFROM a\n', 'escape'],
];

for (const [text, words] of underlined) {
  test(`the caret goes under ${words}`, () => {
    const rows = excerptOfFault(text).split('\n');
    const caret = rows.findIndex((row) => /^ *\| *\^+$/.test(row));
    const at = rows[caret]!.indexOf('^');
    assert.equal(rows[caret - 1]!.slice(at, rows[caret]!.length), words);
  });
}

test('a word in a continuation is found on its own line; the start of a long instruction is shown with it', () => {
  const text = 'FROM a\nCOPY \\\n  --link \\\n  # why\n  --chown=x \\\n  --nope=1 \\\n  x y\n';
  assert.equal(
    excerptOfFault(text),
    'Dockerfile:6\n   2 | COPY \\\n   … |\n   4 |   # why\n   5 |   --chown=x \\\n   6 |   --nope=1 \\\n     |   ^^^^^^\n   7 |   x y\n',
  );
});

test('a heredoc without its end shows where it begins', () => {
  const text = 'FROM a\nRUN <<EOF\none\ntwo\nthree\nfour\n';
  assert.match(
    excerptOfFault(text),
    /^Dockerfile:2\n {3}1 \| FROM a\n {3}2 \| RUN <<EOF\n {5}\| \^{9}\n {3}3 \| one\n/,
  );
});

test('tabs keep the caret in its column, control characters are not printed, long lines are cut around it', () => {
  const tabs = excerptOfFault('FROM a\nCOPY\t--link\t--nope=1 \u001b[31mx y\n');
  assert.match(tabs, /2 \| COPY\t--link\t--nope=1 \ufffd\[31mx y\n {5}\| {5}\t {6}\t\^{6}\n/);
  const long = excerptOfFault(`FROM a\nCOPY ${'x '.repeat(20_000)}--link --nope=1 y\nENV\n`);
  assert.ok(long.split('\n').every((row) => row.length < 200));
  const flag = excerptOfFault(`FROM a\nCOPY --chown=${'x'.repeat(1000)} --nope=1 a y\n`);
  assert.match(flag, /\| …x+ --nope=1 a y\n {5}\| +\^{6}\n/);
});

test('short words of a message are no blame', () => {
  assert.equal(blamedWords('file not found in build context: stat nope', 'COPY in nope /x'), 'nope');
  assert.equal(blamedWords('file not found in build context', 'COPY in on /x'), undefined);
  assert.equal(blamedWords('can\'t find = in "c"', 'ENV a=1 c'), 'c');
});
