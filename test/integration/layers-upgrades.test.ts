/**
 * A system from Debian packages of this machine, and upgrades of it stacked one on another as `docker build` writes them: what is mounted is what
 * another engine makes of the same layers. `WHERRY_UPGRADES` is how many.
 */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { openErofs, openOverlay2, openVfs } from '#snapshots';
import { requireRoot } from '#testing';
import { Bench, treeDifferencesOf } from '../../src/snapshots/testsuite/bench.ts';
import { file, folder, hardlink, type Item, opaque, symlink, whiteout } from '../../src/snapshots/testsuite/layers.ts';
import { Podman, savedImage } from '../support/podman.ts';

const upgrades = Number(process.env['WHERRY_UPGRADES'] ?? 8);
const lists = '/var/lib/dpkg/info';
const packages = 40;
const largestPackageBytes = 200_000;
const largestPackageFiles = 40;

/** Paths of a package, without a leading slash. */
type Package = readonly string[];

/** Small packages of this machine, those whose files are all there. */
function smallPackages(): Package[] {
  const found: Package[] = [];
  for (const name of readdirSync(lists)
    .filter((entry) => entry.endsWith('.list'))
    .sort()) {
    const paths = readFileSync(join(lists, name), 'utf8')
      .split('\n')
      .filter((path) => path.length > 2);
    if (paths.length > largestPackageFiles || !paths.every((path) => existsSync(path))) continue;
    const sizes = paths.map((path) => lstatSync(path)).filter((stat) => stat.isFile());
    if (sizes.length === 0 || sizes.reduce((sum, { size }) => sum + size, 0) > largestPackageBytes) continue;
    found.push(paths.map((path) => path.slice(1)));
    if (found.length === packages) break;
  }
  return found;
}

const merged = ['bin', 'sbin', 'lib', 'lib64'];
/** Where a file of a package is once the old places are links. */
const placed = (path: string) => (merged.includes(path.split('/')[0]!) ? `usr/${path}` : path);
const timeOf = (version: number) => ({ mtime: { sec: 1_600_000_000 + version, nsec: version } });

/** An entry as the package has it, in a version. */
function itemOf(path: string, version: number): Item | undefined {
  const stat = lstatSync(`/${path}`);
  const more = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, ...timeOf(version) };
  if (merged.includes(path)) return undefined;
  if (stat.isDirectory()) return folder(placed(path), more);
  if (stat.isSymbolicLink()) return symlink(placed(path), readlinkSync(`/${path}`), timeOf(version));
  if (!stat.isFile()) return undefined;
  const note = version === 0 ? '' : `\nversion ${version}\n`;
  return file(placed(path), Buffer.concat([readFileSync(`/${path}`), Buffer.from(note)]), more);
}

/** With the folders that it is in, as a layer that was compared with the one below has them. */
function withParents(items: readonly Item[], version: number): Item[] {
  const made = new Map<string, Item>([['.', folder('./', timeOf(version))]]);
  const put = (item: Item) => {
    const path = item.path.replace(/\/$/, '');
    for (let at = dirname(path), above: string[] = []; ; at = dirname(at)) {
      if (at === '.' || made.has(at)) {
        for (const parent of above.reverse()) made.set(parent, folder(parent, timeOf(version)));
        break;
      }
      above.push(at);
    }
    made.set(path, item);
  };
  for (const item of items) put(item);
  return [...made.values()];
}

function baseLayer(all: readonly Package[]): Item[] {
  const links = merged.map((name) => symlink(name, `usr/${name}`, timeOf(0)));
  const files = all.flat().flatMap((path) => itemOf(path, 0) ?? []);
  const own = [file('var/lib/dpkg/status', 'version 0'), file('var/lib/apt/lists/main', 'packages of version 0')];
  return withParents([...links, ...merged.map((name) => folder(`usr/${name}`)), ...files, ...own], 0);
}

/** Some packages in a new version; one loses a file, one has its documents behind a link, the lists of packages are thrown away. */
function upgrade(all: readonly Package[], version: number): Item[] {
  const changed = [0, 1, 2].map((at) => all[(version * 3 + at) % all.length]!);
  const items = changed.flat().flatMap((path) => itemOf(path, version) ?? []);
  const files = items.filter(({ type }) => type === 'file').map(({ path }) => path);
  const lost = files[version % files.length]!;
  const first = files.find((path) => path !== lost);
  const linked = first === undefined ? [] : [hardlink(`usr/bin/tool-${version}`, first, timeOf(version))];
  const gone = version > 1 && version % 4 === 0 ? [whiteout(`opt/only-${version - 1}`)] : [];
  const turned = version % 5 === 0 ? [symlink('opt/turns', `only-${version}`, timeOf(version))] : [];
  const back =
    version % 5 === 1
      ? [whiteout('opt/turns'), folder('opt/turns', timeOf(version)), file('opt/turns/in', `${version}`)]
      : [];
  return withParents(
    [
      ...items.filter(({ path }) => path !== lost),
      ...linked,
      whiteout(lost),
      file('var/lib/dpkg/status', `version ${version}`, timeOf(version)),
      file('var/lib/dpkg/status-old', `version ${version - 1}`, timeOf(version)),
      folder('var/lib/apt/lists', timeOf(version)),
      opaque('var/lib/apt/lists'),
      file(`opt/only-${version}`, `${version}`, timeOf(version)),
      ...[...gone, ...turned, ...back],
    ],
    version,
  );
}

test(`a system with ${upgrades} upgrades stacked is what podman makes of it`, async (t) => {
  if (!requireRoot(t)) return;
  if (!existsSync(lists)) return t.skip('needs Debian packages');
  const all = smallPackages();
  if (all.length < 10) return t.skip(`only ${all.length} small packages here`);
  const layers = [baseLayer(all), ...Array.from({ length: upgrades }, (_, at) => upgrade(all, at + 1))];
  await using bench = await Bench.open((options) => openErofs(options), openVfs);
  const chain = await bench.root.add(...layers);
  const ours = await bench.start('x', chain);
  await using overlay = await openOverlay2(bench.root.options('overlay2'));
  await overlay.unpack(chain);
  await overlay.prepare('x', chain);
  assert.deepEqual(treeDifferencesOf((await overlay.mount('x')).root, ours), [], 'overlay2');
  await overlay.remove('x');
  await using podman = await Podman.open();
  if (podman.stacksLayers(t)) {
    const image = join(bench.root.path, 'image.tar');
    writeFileSync(image, savedImage(layers));
    const differences = treeDifferencesOf(await podman.mount(image), ours);
    // Podman gives the root of every image a mode and a time of its own.
    assert.deepEqual(differences.filter((line) => !line.startsWith('"/": ')).slice(0, 20), [], 'podman');
  }
  await bench.stop('x');
});
