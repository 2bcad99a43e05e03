import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { serveRegistry } from '#registry-server';
import { apiOf } from './api-fixture.ts';
import { curl, home, imageSetup, type Setup, verify } from './images-fixture.ts';
import { foreignLinux, hostLinux, predicateType, publishPlatforms, statement } from './platforms-fixture.ts';

const run = promisify(execFile);

interface Row {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly Size: number;
  readonly Manifests?: readonly { ID: string; Available: boolean; Kind: string; Size: { Total: number } }[];
}

async function rows(setup: Setup, query = ''): Promise<readonly Row[]> {
  return JSON.parse((await curl(setup, 'GET', `/images/json${query}`)).body) as Row[];
}

async function withRegistry(t: TestContext, work: (setup: Setup, address: string) => Promise<void>): Promise<void> {
  await using setup = await imageSetup(t);
  if (!setup) return;
  await using registry = await serveRegistry({ root: `${setup.folder}/own`, addr: '127.0.0.1:0' });
  await work(setup, registry.address);
}

test('platforms pulled one after the other stay under one name, and each is what is asked for', async (t) =>
  await withRegistry(t, async (setup, address) => {
    const { docker } = setup;
    const published = await publishPlatforms(address, 'multi:1', [foreignLinux, hostLinux], { attested: true });
    const { reference, index, platforms } = published;
    const [foreign, own] = platforms as [(typeof platforms)[0], (typeof platforms)[0]];
    await docker.ok('pull', '--platform', 'linux/s390x', reference);
    assert.deepEqual(
      (await rows(setup)).map(({ Id }) => Id),
      [foreign.id],
    );
    await docker.ok('pull', reference);
    const [row, ...others] = await rows(setup, '?manifests=1&all=1');
    assert.deepEqual(others, []);
    assert.equal(row!.Id, own.id);
    assert.deepEqual(row!.RepoTags, [reference]);
    assert.deepEqual(
      row!.Manifests!.map(({ ID, Available, Kind }) => [ID, Available, Kind]),
      [
        [foreign.manifest.digest, true, 'image'],
        [own.manifest.digest, true, 'image'],
        [row!.Manifests![2]!.ID, true, 'attestation'],
      ],
    );
    const ask = apiOf(setup.daemon.host);
    const statements = (query: string) =>
      ask('GET', `/v1.55/images/${encodeURIComponent(reference)}/attestations${query}`);
    assert.deepEqual((await statements('')).body, []);
    const s390x = encodeURIComponent('{"os":"linux","architecture":"s390x"}');
    const [said, ...more] = (await statements(`?platform=${s390x}&statement=1&type=${predicateType}`)).body;
    assert.deepEqual([said.PredicateType, said.Statement, more], [predicateType, statement, []]);
    assert.equal((await statements(`?platform=${s390x}`)).body[0].Statement, undefined);
    assert.deepEqual((await statements(`?platform=${s390x}&type=https://spdx.dev/Document`)).body, []);
    const riscv = encodeURIComponent('{"os":"linux","architecture":"riscv64"}');
    assert.equal((await statements(`?platform=${riscv}`)).status, 404);
    assert.equal((await ask('GET', `/v1.54/images/${reference}/attestations`)).status, 404);
    const [listed] = (await ask('GET', '/v1.54/images/json?manifests=1&identity=1')).body;
    const identity = { Pull: [{ Repository: reference.replace(/:1$/, '') }] };
    assert.deepEqual(listed.Manifests[0].ImageData.Identity, identity);
    assert.deepEqual((await ask('GET', `/v1.53/images/${listed.Id}/json`)).body.Identity, identity);
    const asked = async (platform: string, ...args: string[]) =>
      (await docker.ok(...args, '--platform', platform, reference)).trim();
    assert.equal((await docker.ok('image', 'inspect', '-f', '{{.Id}}', reference)).trim(), own.id);
    const inspect = ['image', 'inspect', '-f', '{{.Id}} {{.Architecture}} {{index .RepoTags 0}}'];
    assert.equal(await asked('linux/s390x', ...inspect), `${foreign.id} s390x ${reference}`);
    assert.match(await asked('linux/s390x', 'history'), /made for s390x/);
    const missing = await docker.run(['image', 'inspect', '--platform', 'linux/riscv64', reference]);
    assert.match(missing.stderr, /was found but does not provide the specified platform \(linux\/riscv64\)/);
    for (const [platform, id] of [
      ['linux/s390x', foreign.id],
      [`linux/${hostLinux.architecture}`, own.id],
    ] as const) {
      const container = await asked(platform, 'create');
      assert.equal((await docker.ok('inspect', '-f', '{{.Image}}', container)).trim(), id);
      await docker.ok('rm', container);
    }
    const inspected = await curl(setup, 'GET', `/images/${index.digest}/json?manifests=1`);
    assert.deepEqual((JSON.parse(inspected.body) as { Descriptor: object }).Descriptor, index);
    assert.doesNotMatch((await curl(setup, 'GET', `/images/${reference}/json`)).body, /Manifests|"Descriptor"/);
    assert.equal(verify(setup).status, 0, verify(setup).output);
  }));

test('one platform is removed, the name stays with the other; with the name all of them go', async (t) =>
  await withRegistry(t, async (setup, address) => {
    const { docker } = setup;
    const { reference, platforms } = await publishPlatforms(address, 'multi:1', [hostLinux, foreignLinux]);
    const [own, foreign] = platforms as [(typeof platforms)[0], (typeof platforms)[0]];
    const pullBoth = async () => {
      for (const { architecture } of [hostLinux, foreignLinux])
        await docker.ok('pull', '--platform', `linux/${architecture}`, reference);
    };
    await pullBoth();
    const removed = await docker.ok('rmi', '--platform', `linux/${hostLinux.architecture}`, reference);
    assert.match(removed, new RegExp(`^Deleted: ${own.id}\nDeleted: sha256:[0-9a-f]{64}\n$`));
    assert.deepEqual(
      (await rows(setup)).map(({ Id, RepoTags }) => [Id, RepoTags]),
      [[foreign.id, [reference]]],
    );
    await pullBoth();
    await docker.ok('tag', reference, 'other:1');
    const refused = await docker.run(['rmi', '--platform', 'linux/s390x', reference]);
    assert.match(refused.stderr, /Content will be removed from all images referencing this variant \(.*other:1/);
    await docker.ok('rmi', 'other:1');
    const gone = await docker.ok('rmi', reference);
    for (const { id } of platforms) assert.match(gone, new RegExp(`^Deleted: ${id}$`, 'm'));
    assert.deepEqual(await rows(setup, '?all=1'), []);
    assert.equal(verify(setup).status, 0, verify(setup).output);
  }));

test('an image ID of one platform, tagged, is that platform alone; a prune takes an unnamed index whole', async (t) =>
  await withRegistry(t, async (setup, address) => {
    const { docker } = setup;
    const { reference, index, platforms } = await publishPlatforms(address, 'multi:1', [hostLinux, foreignLinux]);
    const [own, foreign] = platforms as [(typeof platforms)[0], (typeof platforms)[0]];
    for (const { architecture } of [hostLinux, foreignLinux])
      await docker.ok('pull', '--platform', `linux/${architecture}`, reference);
    await docker.ok('tag', foreign.id, 'alone:1');
    await docker.ok('tag', 'alone:1', `${address}/alone:1`);
    assert.match(await docker.ok('push', `${address}/alone:1`), new RegExp(`digest: ${foreign.manifest.digest}`));
    await docker.ok('tag', reference, `${address}/whole:1`);
    assert.match(await docker.ok('push', `${address}/whole:1`), new RegExp(`digest: ${index.digest}`));
    await docker.ok('rmi', 'alone:1', `${address}/alone:1`);
    assert.deepEqual(
      (await rows(setup)).map(({ Id }) => Id),
      [own.id],
    );
    const container = (await docker.ok('create', '--platform', 'linux/s390x', reference)).trim();
    assert.doesNotMatch(await docker.ok('image', 'prune', '-af'), /deleted/i);
    await docker.ok('rm', container);
    const pruned = await docker.ok('image', 'prune', '-af');
    for (const { id } of platforms) assert.match(pruned, new RegExp(id));
    assert.deepEqual(await rows(setup), []);
    assert.equal(verify(setup).status, 0, verify(setup).output);
  }));

test('wherry images --tree, inspect, history and rmi know platforms', async (t) =>
  await withRegistry(t, async (setup, address) => {
    const wherry = async (...args: string[]) =>
      (await run(join(home, 'bin/wherry'), ['-H', setup.daemon.host, ...args])).stdout;
    const { reference, platforms } = await publishPlatforms(address, 'multi:1', [hostLinux, foreignLinux], {
      attested: true,
    });
    await wherry('pull', '-q', reference);
    const short = (digest: string) => digest.slice(7, 19);
    const tree = await wherry('images', '--tree');
    const lines = tree.trimEnd().split('\n').slice(1);
    assert.equal(lines.length, 3);
    assert.match(lines[0]!, new RegExp(`^${reference} +${short(platforms[0]!.id)} `));
    assert.match(
      lines[1]!,
      new RegExp(`^├─ linux/${hostLinux.architecture} +${short(platforms[0]!.manifest.digest)} .*B$`),
    );
    assert.match(lines[2]!, new RegExp(`^└─ linux/s390x +${short(platforms[1]!.manifest.digest)} +not here$`));
    await wherry('pull', '-q', '--platform', 'linux/s390x', reference);
    assert.doesNotMatch(await wherry('images', '--tree'), /not here|unknown/);
    const [shown] = JSON.parse(await wherry('inspect', '--platform', 'linux/s390x', reference)) as { Id: string }[];
    assert.equal(shown!.Id, platforms[1]!.id);
    assert.match(await wherry('history', '--platform', 'linux/s390x', reference), /made for s390x/);
    assert.match(await wherry('rmi', '--platform', 'linux/s390x', reference), new RegExp(platforms[1]!.id));
    assert.match(await wherry('images', '--tree'), /linux\/s390x .*not here/);
  }));

test('a Windows image is pulled, listed, inspected, looked into, saved, loaded, copied and pushed; run says why not', async (t) =>
  await withRegistry(t, async (setup, address) => {
    const { docker } = setup;
    const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.2700' };
    const { reference, platforms } = await publishPlatforms(address, 'win:1', [windows, hostLinux]);
    const { id, manifest } = platforms[0]!;
    await docker.ok('pull', '--platform', 'windows/amd64', reference);
    assert.deepEqual(
      (await rows(setup)).map(({ Id, RepoTags }) => [Id, RepoTags]),
      [[id, [reference]]],
    );
    const shown = await docker.ok('image', 'inspect', '-f', '{{.Os}} {{.OsVersion}} {{.Architecture}}', reference);
    assert.equal(shown.trim(), 'windows 10.0.20348.2700 amd64');
    const refused = await docker.run(['create', '--platform', 'windows/amd64', reference]);
    assert.match(
      refused.stderr,
      /cannot run .* here: it is for windows 10\.0\.20348\.2700, and containers share the kernel/,
    );
    const wherry = async (...args: string[]) =>
      (await run(join(home, 'bin/wherry'), ['-H', setup.daemon.host, ...args])).stdout;
    assert.match(await wherry('cat', reference, '/platform'), /20348/);
    assert.match(
      await wherry('images', '--tree'),
      /├─ windows\(10\.0\.20348\.2700\)\/amd64 +\w+ +[\d.]+k?B\n└─ linux\/\w+ +\w+ +not here/,
    );
    await docker.ok('tag', reference, `${address}/copy:1`);
    assert.match(await docker.ok('push', `${address}/copy:1`), new RegExp(`digest: ${manifest.digest}`));
    const archive = join(setup.folder, 'win.tar');
    await docker.ok('save', '-o', archive, reference);
    await docker.ok('rmi', reference, `${address}/copy:1`);
    const unasked = await docker.run(['load', '-i', archive]);
    assert.match(unasked.stderr, /cannot load windows image on linux/);
    await docker.ok('load', '--platform', 'windows/amd64', '-i', archive);
    assert.deepEqual(
      (await rows(setup)).map(({ Id, RepoTags }) => [Id, RepoTags]),
      [[id, [reference]]],
    );
    assert.equal(verify(setup).status, 0, verify(setup).output);
  }));

test('docker save and load carry several platforms and the digest of their index', async (t) =>
  await withRegistry(t, async (setup, address) => {
    const { docker } = setup;
    const { reference, index, platforms } = await publishPlatforms(address, 'multi:1', [foreignLinux, hostLinux]);
    for (const { architecture } of [hostLinux, foreignLinux])
      await docker.ok('pull', '-q', '--platform', `linux/${architecture}`, reference);
    const archive = join(setup.folder, 'multi.tar');
    await docker.ok('save', '-o', archive, reference);
    await docker.ok('rmi', reference);
    assert.equal(await docker.ok('load', '-i', archive), `Loaded image: ${reference}\n`);
    const [row] = await rows(setup, '?manifests=1');
    assert.deepEqual([row!.Id, row!.RepoTags], [platforms[1]!.id, [reference]]);
    assert.deepEqual(
      row!.Manifests!.map(({ ID, Available }) => [ID, Available]),
      platforms.map(({ manifest }) => [manifest.digest, true]),
    );
    assert.equal((row as { Descriptor?: { digest: string } }).Descriptor!.digest, index.digest);
    await docker.ok('rmi', reference);
    await docker.ok('load', '--platform', 'linux/s390x', '-i', archive);
    assert.deepEqual(
      (await rows(setup)).map(({ Id }) => Id),
      [platforms[0]!.id],
    );
    assert.equal(verify(setup).status, 0, verify(setup).output);
  }));
