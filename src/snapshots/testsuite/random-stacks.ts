import fc from 'fast-check';
import { file, folder, hardlink, type Item, opaque, symlink, whiteout } from './layers.ts';

/** Layers from the bottom up. */
export type RandomStack = readonly (readonly Item[])[];

const names = ['a', 'b', 'c', 'ü\n', 'n'.repeat(255)];
const anyName = fc.constantFrom(...names);
const anyPath = fc.array(anyName, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));

const anyTime = fc.record({ sec: fc.integer({ min: 0, max: 2 ** 32 }), nsec: fc.nat(999_999_999) });
const anyXattrs = fc.oneof(
  { weight: 3, arbitrary: fc.constant(new Map<string, Uint8Array>()) },
  fc
    .tuple(fc.constantFrom('user.a', 'user.ü', 'trusted.b'), fc.uint8Array({ maxLength: 300 }))
    .map((pair) => new Map([pair])),
);
const anyOwner = fc.constantFrom(0, 1, 1000, 65_534, 100_000, 2_000_000_000);
const anyAttributes = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: anyOwner,
  gid: anyOwner,
  mtime: anyTime,
  xattrs: anyXattrs,
});
const anyData = fc
  .oneof(fc.constant(0), fc.constant(512), fc.nat(3000))
  .chain((length) => fc.nat(255).map((byte) => Buffer.alloc(length, byte)));
const anyNode = fc
  .tuple(fc.constantFrom('char', 'block', 'fifo'), fc.nat(0xfff), fc.nat(0xfffff))
  .map(([type, devMajor, devMinor]) => ({
    type: type as 'char' | 'block' | 'fifo',
    devMajor: devMajor || 1,
    devMinor,
  }));

type Step = (path: string, target: string) => Item;

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(anyData, anyAttributes).map(
      ([data, more]): Step =>
        (path) =>
          file(path, data, more),
    ),
  },
  {
    weight: 3,
    arbitrary: anyAttributes.map(
      (more): Step =>
        (path) =>
          folder(path, more),
    ),
  },
  fc.tuple(anyOwner, anyTime, fc.boolean()).map(
    ([uid, mtime, isUp]): Step =>
      (path, target) =>
        symlink(path, isUp ? `../${target}` : target, { uid, mtime }),
  ),
  {
    weight: 2,
    arbitrary: anyAttributes.map(
      ({ xattrs: _, ...more }): Step =>
        (path, target) =>
          hardlink(path, target, more),
    ),
  },
  fc.tuple(anyNode, anyAttributes).map(
    ([node, { xattrs: _, ...more }]): Step =>
      (path) => ({ ...folder(path, more), ...node }),
  ),
  { weight: 2, arbitrary: fc.constant((path: string) => whiteout(path)) },
  fc.constant((path: string) => opaque(path)),
);

const anyLayer = fc.array(
  fc.tuple(anyStep, anyPath, anyPath).map(([step, path, target]) => step(path, target)),
  { maxLength: 14 },
);

/** Whatever a writer may put into layers: what cannot be applied among it. */
export const anyStack: fc.Arbitrary<RandomStack> = fc.array(anyLayer, { minLength: 1, maxLength: 4 });

/** Stacks about whose meaning all engines agree, below a folder each. */
export function agreedStack(stack: RandomStack, below: string): Item[][] {
  const merged = new Paths();
  return stack.map((items) => {
    const layer = new Paths();
    const kept = items.flatMap((item) => [...missingParents(item, layer), agreed(item, layer, merged) ?? []].flat());
    merged.apply(layer);
    return [folder(below), ...kept.map((item) => underneath(item, below))];
  });
}

const isMarker = ({ path }: Item) => path.split('/').at(-1)!.startsWith('.wh.');
const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** What stands at each path, parents as they are there. */
class Paths {
  readonly types = new Map<string, Item['type']>();
  readonly hidden = new Set<string>();
  readonly opaque = new Set<string>();

  isFolder(path: string): boolean {
    return path === '' || this.types.get(path) === 'directory';
  }

  /** Overlayfs lists a whiteout in an opaque folder as a name. */
  hides(parent: string): boolean {
    return [...this.hidden].some((path) => path.startsWith(`${parent}/`));
  }

  forget(path: string): void {
    for (const known of this.types.keys()) if (known === path || known.startsWith(`${path}/`)) this.types.delete(known);
  }

  apply(layer: Paths): void {
    for (const path of layer.hidden) this.forget(path);
    for (const path of layer.opaque)
      for (const known of this.types.keys()) if (known.startsWith(`${path}/`)) this.forget(known);
    for (const [path, type] of layer.types) {
      if (type !== 'directory') this.forget(path);
      this.types.set(path, type);
    }
  }
}

/** So that the layer says of every folder what it is. */
function missingParents({ path }: Item, layer: Paths): Item[] {
  const made: Item[] = [];
  for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) {
    const parent = path.slice(0, end);
    if (layer.isFolder(parent)) continue;
    if (layer.types.has(parent) || layer.hidden.has(parent)) break;
    layer.types.set(parent, 'directory');
    made.push({ ...folder(''), path: parent });
  }
  return made;
}

/** Left out: what leans on a lower layer, what a layer takes back, and what engines answer differently. */
function agreed(item: Item, layer: Paths, merged: Paths): Item | undefined {
  if (isMarker(item)) return agreedMarker(item, layer, merged);
  if (!layer.isFolder(parentOf(item.path)) || layer.hidden.has(item.path)) return undefined;
  if (layer.types.has(item.path)) return undefined;
  if (item.type === 'hardlink') {
    const target = layer.types.get(item.linkPath ?? '');
    if (target === undefined || target === 'directory' || item.linkPath === item.path) return undefined;
    layer.types.set(item.path, target);
    return item;
  }
  layer.types.set(item.path, item.type);
  // Some engines take an attribute without a value for none.
  const xattrs = new Map([...(item.xattrs ?? [])].filter(([, value]) => value.byteLength > 0));
  return { ...item, xattrs };
}

function agreedMarker(item: Item, layer: Paths, merged: Paths): Item | undefined {
  const [parent, name] = [parentOf(item.path), item.path.split('/').at(-1)!];
  if (parent === '' || !layer.isFolder(parent)) return undefined;
  if (name === '.wh..wh..opq') {
    if (layer.opaque.has(parent) || layer.hides(parent)) return undefined;
    layer.opaque.add(parent);
    return item;
  }
  const path = `${parent}/${name.slice('.wh.'.length)}`;
  if (
    layer.types.has(path) ||
    layer.hidden.has(path) ||
    !merged.types.has(path) ||
    !merged.isFolder(parent) ||
    isBelow(layer, path)
  )
    return undefined;
  layer.hidden.add(path);
  return item;
}

/** Below an opaque folder there is nothing to hide. */
function isBelow(layer: Paths, path: string): boolean {
  return [...layer.opaque].some((parent) => path.startsWith(`${parent}/`));
}

function underneath(item: Item, below: string): Item {
  const path = `${below}/${item.path}`;
  return item.type === 'hardlink' ? { ...item, path, linkPath: `${below}/${item.linkPath}` } : { ...item, path };
}
