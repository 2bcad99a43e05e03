import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FileContentStore, openContentStore } from '#content';
import { type ErrorKind, isKind } from '#errdefs';
import { type Descriptor, type DiffID, digestOf, type Index, mediaTypes, type Platform } from '#oci';
import { temporaryFolder } from '#testing';
import {
  assembleImage,
  createdMsOf,
  describeImage,
  presentManifests,
  readKnownConfig,
  resolveTarget,
} from './index.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const arm64: Platform = { os: 'linux', architecture: 'arm64' };
const kind = (wanted: ErrorKind) => (error: unknown) => isKind(error, wanted);

async function withStore(body: (content: FileContentStore) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  await body(await openContentStore({ root: folder.path }));
}

const layer = { diffID: digestOf('layer') as DiffID, sizeBytes: 5 };

async function image(content: FileContentStore, platform: Platform, note = ''): Promise<Descriptor> {
  const config = {
    ...platform,
    author: note,
    rootfs: { type: 'layers' as const, diff_ids: [layer.diffID] },
  };
  return { ...(await assembleImage(content, { config, layers: [layer] })).target, platform };
}

async function putIndex(content: FileContentStore, manifests: readonly Descriptor[]): Promise<Descriptor> {
  const index: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  const { digest, sizeBytes } = await content.put(Buffer.from(JSON.stringify(index)));
  return { mediaType: mediaTypes.ociIndex, digest, size: sizeBytes };
}

test('the config of a known image is read once while others are not many, and a missing one is missing', () =>
  withStore(async (content) => {
    let opened = 0;
    const counting: Pick<FileContentStore, 'open'> = {
      open: (digest, range) => {
        opened++;
        return content.open(digest, range);
      },
    };
    const idOf = async (note: string) => {
      const { architecture, os } = amd64;
      const rootfs = { type: 'layers', diff_ids: [layer.diffID] };
      return (await content.put(Buffer.from(JSON.stringify({ architecture, os, author: note, rootfs })))).digest;
    };
    const first = await idOf('first');
    for (let times = 0; times < 3; times++) assert.equal((await readKnownConfig(counting, first)).author, 'first');
    assert.equal(opened, 1);
    for (let index = 0; index < 100; index++) await readKnownConfig(counting, await idOf(`other ${index}`));
    assert.equal((await readKnownConfig(counting, first)).author, 'first');
    assert.equal(opened, 102, 'what is remembered is bounded');
    const large = await idOf('x'.repeat(100_000));
    for (let times = 0; times < 2; times++) await readKnownConfig(counting, large);
    assert.equal(opened, 104, 'nor is anything large remembered');
    for (let times = 0; times < 2; times++)
      await assert.rejects(readKnownConfig(counting, digestOf('absent')), kind('not-found'));
  }));

test('an assembled image resolves to itself', () =>
  withStore(async (content) => {
    const config = {
      ...amd64,
      created: '2026-01-02T03:04:05.123456789Z',
      config: { Labels: { a: 'b' } },
      rootfs: { type: 'layers' as const, diff_ids: [layer.diffID, layer.diffID] },
    };
    const made = await assembleImage(content, { config, layers: [layer, layer], parent: digestOf('parent') });
    assert.equal(made.id, digestOf(JSON.stringify(config)));
    assert.equal(made.sizeBytes, 10);
    assert.equal(made.createdMs, Date.UTC(2026, 0, 2, 3, 4, 5, 123));
    assert.deepEqual(made.references, [made.target.digest, made.id, layer.diffID]);
    assert.equal(made.parent, digestOf('parent'));
    const view = await resolveTarget(content, made.target, arm64);
    assert.deepEqual(view.diffIDs, [layer.diffID, layer.diffID]);
    assert.deepEqual(view.platform, amd64);
    const described = describeImage(view, { sizeBytes: 10, parent: digestOf('parent') });
    assert.deepEqual(
      { ...described, references: [...described.references].sort() },
      {
        ...made,
        references: [...made.references].sort(),
      },
    );
  }));

test('raw config bytes keep their digest, wrong layers are refused', () =>
  withStore(async (content) => {
    const raw = Buffer.from(
      `{ "os":"linux", "architecture":"amd64","rootfs":{"type":"layers","diff_ids":["${layer.diffID}"]},"x-unknown":1}`,
    );
    assert.equal((await assembleImage(content, { config: raw, layers: [layer] })).id, digestOf(raw));
    await assert.rejects(assembleImage(content, { config: raw, layers: [] }), kind('invalid-argument'));
    const other = { diffID: digestOf('other') as DiffID, sizeBytes: 1 };
    await assert.rejects(
      assembleImage(content, { config: raw, layers: [other] }),
      /invalid diffID for layer 0: expected/,
    );
  }));

test('the right platform is chosen, also from a nested index; attestations and absent children are not', () =>
  withStore(async (content) => {
    const [amd, arm] = [await image(content, amd64), await image(content, arm64)];
    const attestation: Descriptor = {
      ...(await image(content, amd64, 'attestation')),
      platform: { os: 'unknown', architecture: 'unknown' },
    };
    const absent: Descriptor = {
      mediaType: mediaTypes.ociManifest,
      digest: digestOf('not here'),
      size: 3,
      platform: { os: 'linux', architecture: 's390x' },
    };
    const nested = await putIndex(content, [arm]);
    const target = await putIndex(content, [attestation, absent, amd, nested]);
    assert.equal((await resolveTarget(content, target, amd64)).manifestDescriptor.digest, amd.digest);
    const found = await resolveTarget(content, target, arm64);
    assert.equal(found.manifestDescriptor.digest, arm.digest);
    assert.equal(found.target, target);
    assert.equal(found.index?.manifests.length, 4);
    for (const architecture of ['s390x', 'riscv64'])
      await assert.rejects(resolveTarget(content, target, { os: 'linux', architecture }), kind('not-found'));
    const kept = (await presentManifests(content, target)).map((descriptor) => descriptor.digest);
    assert.deepEqual(kept, [target.digest, nested.digest, attestation.digest, amd.digest, arm.digest]);
  }));

test("without a platform: the host, else what there is; entries that name none have their config's", () =>
  withStore(async (content) => {
    const foreign = await image(content, { os: 'plan9', architecture: 'mips' });
    const attestation = { ...foreign, platform: { os: 'unknown', architecture: 'unknown' } };
    const only = await putIndex(content, [attestation, foreign]);
    assert.equal((await resolveTarget(content, only, undefined)).platform.os, 'plan9');
    const { platform: _, ...unnamed } = await image(content, arm64);
    const mixed = await putIndex(content, [await image(content, amd64), unnamed]);
    assert.deepEqual((await resolveTarget(content, mixed, arm64)).platform, arm64);
    assert.deepEqual((await resolveTarget(content, mixed, amd64)).platform, amd64);
    const none = await putIndex(content, [attestation]);
    await assert.rejects(resolveTarget(content, none, undefined), kind('not-found'));
  }));

test('hostile targets are refused', () =>
  withStore(async (content) => {
    const put = async (text: string, mediaType: string = mediaTypes.ociManifest): Promise<Descriptor> => {
      const { digest, sizeBytes } = await content.put(Buffer.from(text));
      return { mediaType, digest, size: sizeBytes };
    };
    const absent = { mediaType: mediaTypes.ociManifest, digest: digestOf('absent'), size: 1 };
    await assert.rejects(resolveTarget(content, absent, undefined), kind('not-found'));
    await assert.rejects(resolveTarget(content, await put('{'), undefined), kind('invalid-argument'));
    await assert.rejects(
      resolveTarget(content, await put(' '.repeat((4 << 20) + 1)), undefined),
      kind('invalid-argument'),
    );
    let deep = await image(content, amd64);
    for (let level = 0; level < 6; level++) deep = await putIndex(content, [deep]);
    await assert.rejects(resolveTarget(content, deep, amd64), kind('invalid-argument'));
    const config = await put(JSON.stringify({ ...amd64, rootfs: { type: 'layers', diff_ids: [] } }));
    const manifest = { schemaVersion: 2, config, layers: [{ ...config, mediaType: mediaTypes.ociLayer }] };
    await assert.rejects(
      resolveTarget(content, await put(JSON.stringify(manifest)), amd64),
      /invalid manifest, layers length mismatch: expected 1, got 0/,
    );
  }));

test('creation times that are missing or nonsense are 0', () => {
  const config = { ...amd64, rootfs: { type: 'layers' as const, diff_ids: [] } };
  assert.equal(createdMsOf(config), 0);
  assert.equal(createdMsOf({ ...config, created: 'yesterday' }), 0);
});
