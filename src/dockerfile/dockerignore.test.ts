import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import { compileGoMatch, IgnoreMatcher, parseDockerignore } from './index.ts';

/** Pattern, path, does Go's filepath.Match say yes. */
const goMatch: readonly (readonly [string, string, boolean])[] = [
  ['abc', 'abc', true],
  ['*', 'abc', true],
  ['*c', 'abc', true],
  ['a*', 'ab/c', false],
  ['a*/b', 'abc/b', true],
  ['a*/b', 'a/c/b', false],
  ['a*b?c*x', 'abxbbxdbxebxczzx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzy', false],
  ['ab[c]', 'abc', true],
  ['ab[b-d]', 'abc', true],
  ['ab[e-g]', 'abc', false],
  ['ab[^c]', 'abc', false],
  ['ab[^e-g]', 'abc', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'ab', false],
  ['a?b', 'a☺b', true],
  ['a[^a]b', 'a☺b', true],
  ['a???b', 'a☺b', false],
  ['a?b', 'a/b', false],
  ['[\\]a]', ']', true],
  ['[\\-x]', 'x', true],
  ['[x\\-]', 'z', false],
  ['*x', 'xxx', true],
  ['{a,b}', 'a', false],
  ['*', '.hidden', true],
  ['**', 'x/y', false],
  ['', '', true],
];

for (const [pattern, path, wanted] of goMatch) {
  test(`match ${pattern} ${path}`, () => assert.equal(compileGoMatch(pattern).matches(path), wanted));
}

for (const pattern of ['[', '[^', '[a-', '[a', '[]a]', '[-]', '[x-]', '[-x]', 'a[', '\\', 'a\\']) {
  test(`bad pattern ${pattern}`, () => {
    assert.throws(
      () => compileGoMatch(pattern),
      (error) => isKind(error, 'invalid-argument') && (error as Error).message === 'syntax error in pattern',
    );
  });
}

/** Patterns, path, left out. */
const ignored: readonly (readonly [readonly string[], string, boolean])[] = [
  [['**'], 'file', true],
  [['**'], 'dir/file', true],
  [['**/'], 'file', true],
  [['**/**'], 'dir/file', true],
  [['dir/**'], 'dir/file', true],
  [['dir/**'], 'dir', false],
  [['**/dir'], 'dir/file', true],
  [['**/dir2/*'], 'dir/dir2/file', true],
  [['**/dir2/*'], 'dir/dir2/dir2/file', true],
  [['**file'], 'dir/xfile', true],
  [['**/file'], 'dir/xfile', false],
  [['**/*.txt'], 'a/b.txt', true],
  [['a**/*.txt'], 'a/x/b.txt', true],
  [['a/*/b'], 'a/x/b/deep/er', true],
  [['a/*/b'], 'a/b', false],
  [['a.|b'], 'axb', false],
  [['a(b)c+$'], 'a(b)c+$', true],
  [['dir', '!dir/keep'], 'dir/keep', false],
  [['dir', '!dir/keep'], 'dir/other', true],
  [['dir', '!dir/keep', 'dir/keep/not'], 'dir/keep/not/x', true],
  [['!dir/keep', 'dir'], 'dir/keep', true],
  [['*', '!*.md'], 'README.md', false],
  [['*', '!*.md'], 'x/README.md', true],
  [['*.md', '!README*.md', 'README-secret.md'], 'README-secret.md', true],
  [['/abs'], 'abs', true],
  [['./here/../x'], 'x', true],
  [['.'], 'anything', false],
  [['a'], '.', false],
  [[' spaced '], 'spaced', true],
];

for (const [patterns, path, wanted] of ignored) {
  test(`ignore ${patterns.join(' ')} : ${path}`, () => {
    assert.equal(new IgnoreMatcher(parseDockerignore(patterns.join('\n'))).excludes(path), wanted);
  });
}

test('the rule that decided is told', () => {
  const matcher = new IgnoreMatcher(['dir', '!dir/keep']);
  const { pattern, exception } = matcher.decide('dir/keep/x') ?? {};
  assert.deepEqual([pattern, exception], ['!dir/keep', true]);
});

test('a file of patterns: comments, blanks, byte order mark, slashes', () => {
  assert.deepEqual(parseDockerignore('\ufeff# no\n\n  a/ \n!  /b/../c\r\n #kept\n'), ['a', '!c', '#kept']);
});

test('an exception without a pattern is refused', () => {
  assert.throws(() => new IgnoreMatcher(['!']), /illegal exclusion pattern: "!"/);
});

test('any pattern either compiles or is refused, and never takes long', () => {
  const unit = fc.constantFrom('*', '**', '?', '[', ']', '^', '-', 'a', '/', '\\', '!');
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 30 }), fc.string({ maxLength: 40 }), (parts, path) => {
      try {
        assert.equal(typeof new IgnoreMatcher([parts.join('')]).excludes(path), 'boolean');
      } catch (error) {
        assert.ok(isKind(error, 'invalid-argument'), String(error));
      }
    }),
    { numRuns: 1000 },
  );
  assert.equal(compileGoMatch('*a'.repeat(40)).matches('a'.repeat(5000).concat('b')), false);
});

test('a folder that is left out is looked into when an exception names it or what is in it', () => {
  const looks = (patterns: string[], folder: string) => new IgnoreMatcher(patterns).hasExceptionBelow(folder);
  assert.equal(looks(['d', '!d/s/keep'], 'd'), true);
  assert.equal(looks(['d', '!d/s/keep'], 'd/s'), true);
  assert.equal(looks(['d', '!d/s/keep'], 'd/other'), false);
  assert.equal(looks(['d', '!d/'], 'd'), true);
  assert.equal(looks(['d', '!dd/keep'], 'd'), false);
  assert.equal(looks(['d', 'd/keep'], 'd'), false);
  // As Docker's client has it: these find nothing in what is left out.
  assert.equal(looks(['d', '!**/keep'], 'd'), false);
  assert.equal(looks(['d', '!d*/keep'], 'd'), false);
});
