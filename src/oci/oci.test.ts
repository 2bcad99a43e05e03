import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EngineError, isKind } from '#errdefs';
import {
  chainIDs,
  choosePlatform,
  type Descriptor,
  type DiffID,
  digestOf,
  formatPlatform,
  hostPlatform,
  isDigest,
  mediaTypes,
  normalisePlatform,
  parseConfig,
  parseDigest,
  parseIndex,
  parseManifest,
  parsePlatform,
  parseTarget,
} from './index.ts';

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const invalid = { kind: 'invalid-argument' };
const blob = (text: string, mediaType: string = mediaTypes.ociLayerGzip) => ({
  mediaType,
  digest: digestOf(text),
  size: text.length,
});
const manifest = { schemaVersion: 2, config: blob('{}', mediaTypes.ociConfig), layers: [blob('layer')] };

test('digests: only registered algorithms in lower case', () => {
  const digest = digestOf('hello');
  assert.equal(digest, 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
  assert.equal(parseDigest(digest), digest);
  assert.equal(parseDigest(digestOf('x', 'sha512')).length, 7 + 128);
  assert.throws(() => parseDigest(digest.toUpperCase()), { message: 'invalid checksum digest format' });
  assert.throws(() => parseDigest('sha256:abcd'), { message: 'invalid checksum digest length' });
  assert.throws(() => parseDigest(`md5:${'a'.repeat(32)}`), { message: 'unsupported digest algorithm' });
  for (const bad of ['', 'sha256', 'sha256:', `sha256:../../${'a'.repeat(58)}`, `${digest}\n`, ` ${digest}`]) {
    assert.equal(isDigest(bad), false, bad);
  }
});

test('chainIDs follow the spec', () => {
  const ids = ['a', 'b', 'c'].map((text) => digestOf(text) as DiffID);
  const chain = chainIDs(ids);
  assert.equal(String(chain[0]), String(ids[0]));
  assert.equal(String(chain[1]), digestOf(`${ids[0]} ${ids[1]}`));
  assert.equal(String(chain[2]), digestOf(`${chain[1]} ${ids[2]}`));
  assert.deepEqual(chainIDs([]), []);
});

test('manifests decode, with what is unknown left out', () => {
  const parsed = parseManifest(bytes({ ...manifest, extra: { deep: true }, annotations: { a: 'b' } }));
  assert.deepEqual(parsed, { ...manifest, annotations: { a: 'b' } });
  assert.deepEqual(parseIndex(bytes({ schemaVersion: 2, manifests: null })).manifests, []);
});

test('hostile documents are refused by kind', () => {
  const bad: unknown[] = [
    [],
    null,
    'text',
    { ...manifest, schemaVersion: '2' },
    { ...manifest, config: undefined },
    { ...manifest, manifests: [] },
    { ...manifest, layers: {} },
    { ...manifest, layers: [{ ...blob('x'), size: -1 }] },
    { ...manifest, layers: [{ ...blob('x'), size: 1e300 }] },
    { ...manifest, layers: [{ ...blob('x'), digest: 'sha256:../../etc' }] },
    { ...manifest, layers: [{ ...blob('x'), mediaType: 'a b' }] },
    { ...manifest, annotations: { a: 1 } },
  ];
  for (const value of bad) assert.throws(() => parseManifest(bytes(value)), invalid, JSON.stringify(value));
  assert.throws(() => parseManifest(Buffer.from('{"schemaVersion":2')), invalid);
  assert.throws(() => parseManifest(Buffer.from('['.repeat(1 << 20))), invalid);
  assert.throws(() => parseManifest(Buffer.alloc(5 << 20, ' ')), invalid);
});

test('random JSON never throws anything but an EngineError', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      for (const parse of [parseManifest, parseIndex, parseConfig, (raw: Uint8Array) => parseTarget(raw)]) {
        try {
          parse(Buffer.from(text));
        } catch (error) {
          assert.ok(error instanceof EngineError, String(error));
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('__proto__ keys stay keys', () => {
  const text = JSON.stringify({ ...manifest, annotations: {} }).replace(
    '"annotations":{}',
    '"annotations":{"__proto__":"x"}',
  );
  const parsed = parseManifest(Buffer.from(text));
  assert.deepEqual(Object.keys(parsed.annotations ?? {}), ['__proto__']);
  assert.equal(Object.getPrototypeOf(parsed.annotations), Object.prototype);
});

test('a target is a manifest or an index, never both', () => {
  const index = { schemaVersion: 2, manifests: [blob('m', mediaTypes.ociManifest)] };
  assert.equal(parseTarget(bytes(manifest), mediaTypes.ociManifest).kind, 'manifest');
  assert.equal(parseTarget(bytes(index), mediaTypes.ociIndex).kind, 'index');
  assert.equal(parseTarget(bytes(index)).kind, 'index');
  assert.equal(
    parseTarget(bytes({ ...manifest, mediaType: mediaTypes.dockerManifest })).mediaType,
    mediaTypes.dockerManifest,
  );
  assert.throws(
    () => parseTarget(bytes({ ...manifest, mediaType: mediaTypes.ociManifest }), mediaTypes.ociIndex),
    invalid,
  );
  assert.throws(() => parseTarget(bytes({ ...manifest, ...index })), invalid);
  assert.throws(() => parseTarget(bytes({ schemaVersion: 1 })), { kind: 'not-implemented' });
  assert.throws(() => parseTarget(bytes(manifest), 'application/x-other'), { kind: 'not-implemented' });
});

test('configs decode as Docker and OCI write them', () => {
  const config = parseConfig(
    bytes({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: 'sh', Entrypoint: null, Env: ['A=b'], Volumes: { '/x': {} }, Labels: null },
      rootfs: { type: 'layers', diff_ids: [digestOf('x')] },
      history: [{ created_by: 'RUN x', empty_layer: true }],
      'moby.buildkit.cache.v0': 'ignored',
    }),
  );
  assert.deepEqual(config.config, { Cmd: ['sh'], Env: ['A=b'], Volumes: { '/x': {} } });
  assert.deepEqual(config.history, [{ created_by: 'RUN x', empty_layer: true }]);
  assert.throws(() => parseConfig(bytes({ rootfs: { type: 'layers', diff_ids: ['nope'] } })), invalid);
  assert.throws(() => parseConfig(bytes({ rootfs: { type: 'wrong' } })), invalid);
  assert.throws(() => parseConfig(bytes({})), invalid);
});

test('platforms read and write', () => {
  const cases: Record<string, string> = {
    'linux/arm/v7': 'linux/arm/v7',
    'linux/arm': 'linux/arm/v7',
    'linux/arm64/v8': 'linux/arm64',
    'linux/aarch64': 'linux/arm64',
    'LINUX/X86_64': 'linux/amd64',
    'linux/amd64/v1': 'linux/amd64',
    'linux/amd64/v3': 'linux/amd64/v3',
    'linux/armhf': 'linux/arm/v7',
    'windows(10.0.17763)/amd64': 'windows/amd64',
    linux: `linux/${hostPlatform().architecture}`,
    arm64: `${hostPlatform().os}/arm64`,
  };
  for (const [text, wanted] of Object.entries(cases)) {
    assert.equal(formatPlatform(parsePlatform(text)), wanted, text);
  }
  assert.equal(parsePlatform('windows(10.0.17763)/amd64')['os.version'], '10.0.17763');
  assert.throws(() => parsePlatform('a/b/c/d'), {
    message: '"a/b/c/d": cannot parse platform specifier: invalid argument',
  });
  assert.throws(() => parsePlatform('a/b!'), {
    message:
      '"b!" is an invalid component of "a/b!": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument',
  });
  for (const bad of ['', 'bogus', 'linux/', '/amd64', 'li nux', 'linux/*', `linux/${'a'.repeat(5000)}`]) {
    assert.throws(
      () => parsePlatform(bad),
      (error) => isKind(error, 'invalid-argument'),
      bad,
    );
  }
});

test('normalising twice is normalising once', () => {
  const part = fc.constantFrom(
    '',
    'v8',
    '8',
    'v7',
    '7',
    'v1',
    'v2',
    'v9.0',
    'arm',
    'armhf',
    'aarch64',
    'x86_64',
    'linux',
  );
  fc.assert(
    fc.property(part, part, part, (os, architecture, variant) => {
      const once = normalisePlatform({ os, architecture, variant });
      assert.deepEqual(normalisePlatform(once), once);
    }),
  );
});

test('a platform is chosen by fit, then by order', () => {
  const entry = (text: string | undefined, name = text ?? 'none'): Descriptor => ({
    ...blob(name, mediaTypes.ociManifest),
    ...(text === undefined
      ? {}
      : { platform: text === 'unknown/unknown' ? { os: 'unknown', architecture: 'unknown' } : parsePlatform(text) }),
  });
  const choose = (offered: readonly (string | undefined)[], wanted: string) => {
    const descriptors = offered.map((text) => entry(text));
    const chosen = choosePlatform(descriptors, parsePlatform(wanted));
    return chosen === undefined ? 'no match' : offered[descriptors.indexOf(chosen)];
  };
  assert.equal(choose(['unknown/unknown', 'linux/arm64', 'linux/amd64'], 'linux/amd64'), 'linux/amd64');
  assert.equal(choose(['linux/amd64/v3', 'linux/amd64', 'linux/amd64/v2'], 'linux/amd64/v2'), 'linux/amd64/v2');
  assert.equal(choose(['linux/amd64'], 'linux/amd64/v3'), 'linux/amd64');
  assert.equal(choose(['linux/amd64/v2'], 'linux/amd64'), 'no match');
  assert.equal(choose(['linux/arm/v6', 'linux/arm/v5', 'linux/arm/v7'], 'linux/arm/v7'), 'linux/arm/v7');
  assert.equal(choose(['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v7'), 'linux/arm/v6');
  assert.equal(choose(['linux/arm/v7'], 'linux/arm64'), 'linux/arm/v7');
  assert.equal(choose(['linux/arm64'], 'linux/arm64/v8'), 'linux/arm64');
  assert.equal(choose(['linux/arm64', 'linux/arm64/v8.2'], 'linux/arm64/v9'), 'linux/arm64/v8.2');
  assert.equal(choose([undefined, 'linux/amd64'], 'linux/amd64'), 'linux/amd64');
  assert.equal(choose([undefined], 'linux/amd64'), undefined);
  assert.equal(choose(['unknown/unknown'], 'linux/amd64'), 'no match');
  const twins = [entry('linux/amd64', 'first'), entry('linux/amd64', 'second')];
  assert.equal(choosePlatform(twins, parsePlatform('linux/amd64')), twins[0]);
});
