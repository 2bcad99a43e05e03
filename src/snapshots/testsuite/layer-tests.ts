import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { chainIDs, type DiffID, digestOf } from '#oci';
import { sys } from '#sys';
import { requireRoot } from '#testing';
import { Bench } from './bench.ts';
import { escapes, hostileLayers } from './hostile.ts';
import { file, folder, tarOf } from './layers.ts';
import { stacks } from './stacks.ts';
import type { DriverUnderTest } from './suite.ts';

/** Names anywhere below a folder. */
function namesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
}

export function layerTests({ name, open, reference, refuses = [] }: DriverUnderTest): void {
  for (const stack of stacks) {
    test(`${name}: ${stack.name}`, async (t) => {
      if (!requireRoot(t)) return;
      await using bench = await Bench.open(open, reference);
      const chain = await bench.root.add(...stack.layers);
      const differences = bench.differencesFromCopies(chain);
      if (refuses.includes(stack.name)) await assert.rejects(differences, { kind: 'invalid-argument' });
      else assert.deepEqual(await differences, []);
    });
  }

  test(`${name}: attributes of a layer arrive, all but those that speak to overlayfs`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const names = ['user.\xff', 'user.caf\xc3\xa9', 'trusted.mine', 'trusted.overlay.metacopy', 'security.capability'];
    const value = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const chain = await bench.root.add([file('f', 'x', { xattrs: new Map(names.map((key) => [key, value])) })]);
    const root = await bench.start('x', chain);
    const kept = names.filter((key) => !key.startsWith('trusted.overlay.')).sort();
    assert.deepEqual(sys.llistxattr(join(root, 'f')).sort(), kept);
    for (const key of kept) assert.deepEqual(sys.lgetxattr(join(root, 'f'), key), value);
    await bench.stop('x');
  });

  for (const { name: attack, items } of hostileLayers) {
    test(`${name}: refuses ${attack}`, async (t) => {
      if (!requireRoot(t)) return;
      await using bench = await Bench.open(open, reference);
      const [base] = await bench.root.add([folder('base')]);
      await bench.driver.unpack([base!]);
      const before = namesBelow(bench.root.path);
      const [diffID] = await bench.root.add(items);
      await assert.rejects(bench.driver.unpack([base!, diffID!]), { kind: 'invalid-argument' });
      const content = join('content', diffID!.slice('sha256:'.length));
      assert.deepEqual(
        namesBelow(bench.root.path).filter((path) => path !== content),
        before,
      );
    });
  }

  test(`${name}: symlinks that lead outside lead inside`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add(escapes);
    assert.deepEqual(await bench.differencesFromCopies(chain), []);
    const root = await bench.start('x', chain);
    assert.deepEqual(readdirSync(join(root, 'etc')).sort(), ['escaped']);
    assert.ok(!existsSync('/etc/escaped'));
    await bench.stop('x');
  });

  test(`${name}: a tar that is none, cut short or gone`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const whole = tarOf([file('a', Buffer.alloc(5000, 'x'))]);
    const noise = await bench.root.addTar(Buffer.alloc(4096, 'not a tar'));
    const cut = await bench.root.addTar(whole.subarray(0, 1500));
    const gone = digestOf('gone') as DiffID;
    await assert.rejects(bench.driver.unpack([noise]), { kind: 'invalid-argument' });
    await assert.rejects(bench.driver.unpack([cut]), { kind: 'invalid-argument' });
    await assert.rejects(bench.driver.unpack([gone]), { kind: 'data-loss' });
  });

  test(`${name}: unpacking one layer many times at once does the work once`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([folder('d'), file('d/a')], [file('d/b')]);
    await Promise.all(Array.from({ length: 8 }, () => bench.driver.unpack(chain)));
    assert.deepEqual(await bench.differencesFromCopies(chain), []);
  });

  test(`${name}: an abort leaves nothing and the next try succeeds`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([folder('d'), file('d/a')]);
    const before = namesBelow(bench.root.path);
    const failure = await bench.driver.unpack(chain, { signal: AbortSignal.abort() }).catch((error: unknown) => error);
    assert.ok(isKind(failure, 'canceled'));
    assert.deepEqual(namesBelow(bench.root.path), before);
    assert.deepEqual(await bench.differencesFromCopies(chain), []);
  });

  test(`${name}: a removed layer takes no space and can be made again`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const before = namesBelow(join(bench.root.path, 'tested'));
    const [a, b] = await bench.root.add([folder('d'), file('d/a')], [file('d/b')]);
    await bench.driver.unpack([a!, b!]);
    assert.ok((await bench.driver.layerUsage(b!)).sizeBytes > 0);
    await bench.driver.removeLayer(b!, chainIDs([a!, b!]).slice(1));
    await bench.driver.removeLayer(a!, chainIDs([a!]));
    assert.deepEqual(namesBelow(join(bench.root.path, 'tested')), before);
    assert.equal((await bench.driver.layerUsage(b!)).sizeBytes, 0);
    assert.deepEqual(await bench.differencesFromCopies([a!, b!]), []);
  });

  test(`${name}: what a chain needed goes with any of its layers, also of a chain nobody recorded`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const before = namesBelow(join(bench.root.path, 'tested'));
    const [a, b, c] = await bench.root.add(
      [folder('d'), file('d/a')],
      [folder('e'), file('e/b')],
      // Without an entry for its folder: a driver may need an index for each chain it is in.
      [file('d/c')],
    );
    await bench.driver.unpack([c!]);
    const alone = namesBelow(join(bench.root.path, 'tested'));
    await bench.driver.unpack([a!, b!, c!]);
    await bench.driver.removeLayer(a!, []);
    await bench.driver.removeLayer(b!, []);
    assert.deepEqual(namesBelow(join(bench.root.path, 'tested')), alone);
    assert.deepEqual(await bench.differencesFromCopies([a!, b!, c!]), []);
    for (const layer of [c!, b!, a!]) await bench.driver.removeLayer(layer, []);
    assert.deepEqual(namesBelow(join(bench.root.path, 'tested')), before);
    assert.deepEqual(await bench.differencesFromCopies([a!, b!, c!]), []);
  });

  test(`${name}: verify finds nothing wrong with good layers and names broken ones`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([folder('d'), file('d/a', 'content')], [file('d/b')]);
    await bench.driver.unpack(chain);
    assert.deepEqual(await Array.fromAsync(bench.driver.verify(chain)), []);
    damageLayers(join(bench.root.path, 'tested', 'layers'));
    const faults = await Array.fromAsync(bench.driver.verify(chain));
    assert.ok(faults.length > 0);
    assert.match(faults.join('\n'), /sha256[:-]/);
  });
}

/** Flips a byte in the middle of every file that a driver derived from layers. */
function damageLayers(folderPath: string): void {
  for (const path of namesBelow(folderPath).map((entry) => join(folderPath, entry))) {
    if (path.endsWith('.json') || !isFile(path)) continue;
    const bytes = readFileSync(path);
    const at = bytes.length >> 1;
    bytes[at] = bytes[at]! ^ 1;
    writeFileSync(path, bytes);
  }
}

function isFile(path: string): boolean {
  return readdirSync(join(path, '..'), { withFileTypes: true }).some(
    (entry) => join(entry.parentPath, entry.name) === path && entry.isFile(),
  );
}
