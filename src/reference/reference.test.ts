import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EngineError } from '#errdefs';
import { digestOf } from '#oci';
import {
  familiarName,
  familiarString,
  formatReference,
  fullName,
  isValid,
  parseAnyReference,
  parseReference,
  withDefaultTag,
  withDigest,
  withTag,
} from './index.ts';

const digest = digestOf('x');

test('names are normalised and shown the short way', () => {
  const cases: readonly [string, string, string][] = [
    ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
    ['busybox:1', 'docker.io/library/busybox:1', 'busybox:1'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
    ['registry-1.docker.io/library/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
    ['user/app', 'docker.io/user/app:latest', 'user/app:latest'],
    ['library/a/b', 'docker.io/library/a/b:latest', 'library/a/b:latest'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
    ['127.0.0.1:5000/a/b:v1', '127.0.0.1:5000/a/b:v1', '127.0.0.1:5000/a/b:v1'],
    ['[::1]:5000/a', '[::1]:5000/a:latest', '[::1]:5000/a:latest'],
    ['EX/foo', 'EX/foo:latest', 'EX/foo:latest'],
    [`a@${digest}`, `docker.io/library/a@${digest}`, `a@${digest}`],
    [`a:t@${digest}`, `docker.io/library/a:t@${digest}`, `a:t@${digest}`],
    ['a.b/c.d/x__y---z', 'a.b/c.d/x__y---z:latest', 'a.b/c.d/x__y---z:latest'],
  ];
  for (const [text, full, familiar] of cases) {
    const reference = withDefaultTag(parseReference(text));
    assert.equal(formatReference(reference), full);
    assert.equal(familiarString(reference), familiar);
  }
  assert.deepEqual(parseReference('busybox'), { domain: 'docker.io', path: 'library/busybox' });
});

test('what is refused, in the words Docker uses', () => {
  const hex = 'a'.repeat(64);
  const cases: Readonly<Record<string, string>> = {
    Foo: 'invalid reference format: repository name (library/Foo) must be lowercase',
    'localhost:5000/Foo': 'invalid reference format: repository name (Foo) must be lowercase',
    'foo:!': 'invalid reference format',
    'foo@sha256:ab': 'invalid reference format',
    ' x': 'invalid reference format',
    '': 'invalid reference format',
    'a//b': 'invalid reference format',
    'a..b/y': 'invalid reference format',
    'docker.io/': 'invalid reference format',
    'foo_bar.x/y': 'invalid reference format',
    'x@': 'invalid reference format',
    'x\n': 'invalid reference format',
    '../x': 'invalid reference format',
    [`x:${'t'.repeat(129)}`]: 'invalid reference format',
    ['a'.repeat(256)]: 'repository name must not be more than 255 characters',
    ['a'.repeat(1 << 20)]: 'repository name must not be more than 255 characters',
    [hex]: `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`,
    [`foo@sha256:${hex}${hex}`]: 'invalid checksum digest length',
    [`foo@nosuch:${hex}`]: 'unsupported digest algorithm',
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => parseReference(text), { kind: 'invalid-argument', message }, text.slice(0, 80));
    assert.equal(isValid(text), false);
  }
});

test('IDs and names are told apart', () => {
  const hex = digest.slice('sha256:'.length);
  assert.deepEqual(parseAnyReference(hex), { kind: 'id', digest });
  assert.deepEqual(parseAnyReference(digest), { kind: 'id', digest });
  assert.equal(parseAnyReference(hex.slice(0, 12)).kind, 'name');
});

test('tags and digests are put on', () => {
  const reference = parseReference('app:1');
  assert.equal(formatReference(withTag(reference, '2')), 'docker.io/library/app:2');
  assert.equal(formatReference(withDigest(reference, digest)), `docker.io/library/app:1@${digest}`);
  assert.throws(() => withTag(reference, 'a b'), { kind: 'invalid-argument', message: 'invalid tag format' });
  assert.equal(fullName(reference), 'docker.io/library/app');
  assert.equal(familiarName(reference), 'app');
});

const word = fc.stringMatching(/^[a-z0-9]{1,6}$/);
const component = fc
  .tuple(word, fc.array(fc.tuple(fc.constantFrom('.', '_', '__', '-', '--'), word), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.flat().join(''));
const host = fc
  .tuple(fc.array(word, { minLength: 2, maxLength: 3 }), fc.option(fc.integer({ min: 1, max: 65535 })))
  .map(([parts, port]) => parts.join('.') + (port === null ? '' : `:${port}`));
const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/);

test('what is written is read back', () => {
  const reference = fc.record(
    {
      domain: host,
      path: fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
      tag,
      digest: fc.string().map((text) => digestOf(text)),
    },
    { requiredKeys: ['domain', 'path'], noNullPrototype: true },
  );
  fc.assert(
    fc.property(reference, (value) => {
      assert.deepEqual(parseReference(formatReference(value)), value);
      assert.deepEqual(parseReference(familiarString(value)), value);
    }),
  );
});

test('short names are read back from their short form', () => {
  fc.assert(
    fc.property(fc.array(component, { minLength: 1, maxLength: 3 }), tag, (parts, name) => {
      fc.pre(parts.length === 1 || (!parts[0]!.includes('.') && parts[0] !== 'localhost'));
      fc.pre(!/^[a-f0-9]{64}$/.test(parts.join('/')));
      const value = parseReference(`${parts.join('/')}:${name}`);
      assert.deepEqual(parseReference(familiarString(value)), value);
      assert.deepEqual(parseReference(formatReference(value)), value);
    }),
  );
});

test('arbitrary text is read or refused, nothing else', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseReference(text);
      } catch (error) {
        assert.ok(error instanceof EngineError);
      }
    }),
  );
});
