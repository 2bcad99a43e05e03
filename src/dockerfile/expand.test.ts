// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell substitutions are what is tested here
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { expandWord, expandWords, SyntaxFault } from './index.ts';

const env: Readonly<Record<string, string>> = { A: 'a b', EMPTY: '', PATHS: '/x/y/z.tar.gz', STAR: 'a*b?c' };
const lookup = (name: string) => (Object.hasOwn(env, name) ? env[name] : undefined);
const options = { escape: '\\', lookup } as const;

const words: readonly (readonly [string, string])[] = [
  ['plain', 'plain'],
  ['$A', 'a b'],
  ['${A}x', 'a bx'],
  ["'$A'", '$A'],
  ['"$A"', 'a b'],
  ['\\$A', '$A'],
  ['"\\$A \\x \\""', '$A \\x "'],
  ['$', '$'],
  ['$UNSET-', '-'],
  ['${UNSET:-d$A}', 'da b'],
  ['${EMPTY:-d}', 'd'],
  ['${EMPTY-d}', ''],
  ['${EMPTY:+s}', ''],
  ['${EMPTY+s}', 's'],
  ['${A:+s}', 's'],
  ['${PATHS#*/}', 'x/y/z.tar.gz'],
  ['${PATHS##*/}', 'z.tar.gz'],
  ['${PATHS%.*}', '/x/y/z.tar'],
  ['${PATHS%%.*}', '/x/y/z'],
  ['${PATHS/y/Q}', '/x/Q/z.tar.gz'],
  ['${PATHS//\\//_}', '_x_y_z.tar.gz'],
  ['${PATHS/.*/}', '/x/y/z'],
  ['${STAR//\\*/S}', 'aSb?c'],
  ['${STAR/\\?c/!}', 'a*b!'],
  ['${UNSET/x/y}', ''],
  ['${A//a//}', '/ b'],
];

for (const [word, value] of words) {
  test(`expands ${word}`, () => assert.equal(expandWord(word, options), value));
}

const faults: readonly (readonly [string, string])[] = [
  ['${A', `failed to process "\${A": syntax error: missing '}'`],
  ['${', `failed to process "\${": syntax error: missing '}'`],
  ['${}', `failed to process "\${}": syntax error: bad substitution`],
  ['${A:x}', `failed to process "\${A:x}": unsupported modifier (:x) in substitution`],
  ['${A:-x', `failed to process "\${A:-x": syntax error: missing '}'`],
  ['${A/x', `failed to process "\${A/x": syntax error: missing '/' in \${}`],
  ['${UNSET?}', `failed to process "\${UNSET?}": UNSET: is not allowed to be unset`],
  ['${EMPTY:?}', `failed to process "\${EMPTY:?}": EMPTY: is not allowed to be empty`],
  ['${UNSET:?say why}', `failed to process "\${UNSET:?say why}": UNSET: say why`],
  ['"x', `failed to process "\\"x": unexpected end of statement while looking for matching double-quote`],
  ["'x", `failed to process "'x": unexpected end of statement while looking for matching single-quote`],
];

for (const [word, message] of faults) {
  test(`refuses ${word}`, () => {
    assert.throws(
      () => expandWord(word, options),
      (error) => error instanceof SyntaxFault && error.message === message,
    );
  });
}

test('words split at unquoted blanks, also from variables', () => {
  assert.deepEqual(expandWords('x $A "$A" y\\ z', options), ['x', 'a', 'b', 'a b', 'y z']);
});

test('another escape character', () => {
  assert.equal(expandWord('`$A\\x', { ...options, escape: '`' }), '$A\\x');
});

test('quotes mean nothing where they are skipped', () => {
  assert.equal(expandWord(`it's "$EMPTY"`, { ...options, skipQuotes: true }), `it's ""`);
});

test('text without special characters is itself', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const plain = text.replace(/[\\$'"<]/gu, '');
      assert.equal(expandWord(plain, options), plain);
    }),
  );
});

test('single quotes protect everything but themselves', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const inner = text.replaceAll("'", '');
      assert.equal(expandWord(`'${inner}'`, options), inner);
    }),
  );
});

test('any input either expands or is refused with a reason', () => {
  const piece = fc.constantFrom('$', '{', '}', ':', '-', '+', '?', '#', '%', '/', 'A', '*', '\\', '"', "'", '<', ' ');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        assert.equal(typeof expandWord(pieces.join(''), options), 'string');
      } catch (error) {
        assert.ok(error instanceof SyntaxFault, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('prefix and suffix patterns agree with the shell', () => {
  const value = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 8 });
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*', '?'), maxLength: 4 });
  const samples = fc.sample(fc.tuple(value, fc.constantFrom('#', '##', '%', '%%'), pattern), { numRuns: 400, seed: 7 });
  const usable = samples.filter(([, , text]) => !/^[#%]/.test(text));
  const script = usable
    .map(([text, operator, glob]) => `V='${text}'; printf '%s\\n' "\${V${operator}${glob}}"`)
    .join('\n');
  const expected = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\n').slice(0, -1);
  const got = usable.map(([text, operator, glob]) =>
    expandWord(`\${V${operator}${glob}}`, { escape: '\\', lookup: () => text }),
  );
  assert.deepEqual(got, expected);
});

test('hostile patterns and doubling values stay cheap', () => {
  const value = 'a'.repeat(20_000);
  assert.equal(expandWord(`\${V##${'*a'.repeat(30)}b}`, { escape: '\\', lookup: () => value }), value);
  assert.throws(() => expandWord('$V'.repeat(100), { escape: '\\', lookup: () => value }), /longer than 1048576/);
  assert.throws(() => expandWord('${A:-'.repeat(200) + '}'.repeat(200), options), /nested too deeply/);
});
