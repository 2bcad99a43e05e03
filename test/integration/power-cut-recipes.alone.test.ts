/** `--dedup=files`: the machine loses power while layers begin to read from each other, and while they get their bytes back. */
import assert from 'node:assert/strict';
import { createHash, randomInt } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Engine } from '#api-types';
import { connect } from '#client';
import { requireRoot, temporaryFolder } from '#testing';
import { saveArchive } from '../compat/images-fixture.ts';
import { TestDaemon } from '../support/daemon.ts';
import { drain, inPieces, noise, randomOf, tarOf, verifies } from './crash-fixture.ts';
import { PulledDisk, requireReflinks } from './pulled-disk.ts';

/** More are worth it now and then: WHERRY_POWER_CUTS=30. Two to a round. */
const cuts = Number(process.env['WHERRY_POWER_CUTS'] ?? 2);
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));
const names = ['app:0', 'app:1', 'app:2', 'app:3'] as const;

/** The same files in each, and a few of its own. */
function archives(): Buffer[] {
  const common = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`lib/${i}`, noise(20_000 + i * 3001)]));
  return names.map((name, at) => {
    const layer = tarOf({ first: noise(1 + at * 600), ...common, own: noise(300_000) });
    return saveArchive({ layers: [layer], tags: [name] }).archive;
  });
}

async function savedDigest(engine: Engine, name: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of engine.images.save([name])) hash.update(chunk);
  return hash.digest('hex');
}

test('a machine that loses power while layers learn to share files has every layer as it was', async (t) => {
  if (!requireRoot(t) || !requireReflinks(t)) return;
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using folder = await temporaryFolder('wherry-power-');
  const machine = join(folder.path, 'machine');
  await using disk = await PulledDisk.make(folder.path, join(machine, 'data'), 'ext4');
  await using daemon = await TestDaemon.start({ folder: machine, flags: ['--dedup=files', '--undo-grace=0'] });
  await using engine = connect(daemon.host);

  const cutPower = async () => {
    disk.pull();
    await daemon.stop();
    await disk.plugIn(daemon);
    await verifies(daemon);
    await daemon.start();
    await verifies(daemon);
  };
  const expectSaved = async (saved: ReadonlyMap<string, string>) => {
    for (const [name, digest] of saved) assert.equal(await savedDigest(engine, name), digest, name);
  };
  for (let done = 0; done < cuts; done += 2) {
    const saved = new Map<string, string>();
    for (const [at, archive] of archives().entries()) {
      await drain(engine.images.load(inPieces(archive)));
      saved.set(names[at]!, await savedDigest(engine, names[at]!));
    }
    await wait(random(4500));
    await cutPower();
    await expectSaved(saved);
    // Until all that can be shared is, so that the first has readers.
    await wait(3000);
    assert.notDeepEqual(
      await readdir(join(daemon.dataRoot, 'content/recipes/sha256')),
      [],
      'some layer reads from another',
    );
    await engine.images.remove('app:0');
    saved.delete('app:0');
    await wait(random(3000));
    await cutPower();
    await expectSaved(saved);
    for (const name of saved.keys()) await engine.images.remove(name);
  }
});
