import { type DiskAccount, type DiskItem, type DiskPart, type DiskPartKind, diskPartKinds } from '#api-types';
import type { BlobUse, JournalEntry } from '#metadata';
import { type Digest, digestHex } from '#oci';
import { sys } from '#sys';
import { volumeUsers } from '../containers/remove.ts';
import type { EngineContext } from '../context.ts';
import { familiarNames } from '../images/list.ts';
import { prunableImages } from '../images/prunable.ts';
import { derivedFrom } from '../trash/index.ts';
import { type DiskEntry, diskEntries } from './disk-walk.ts';

/** `GET /wherry/v1/disk`: walks the data root and says of every byte whose it is. */
export async function diskAccount(ctx: EngineContext): Promise<DiskAccount> {
  const ledger = new Ledger(ctx);
  for await (const entry of diskEntries(ctx.root)) ledger.add(entry);
  const { available, blocks, blockSize } = sys.statfs(ctx.root);
  const parts = ledger.parts();
  return {
    Path: ctx.root,
    Size: parts.reduce((sum, part) => sum + part.Size, 0),
    Capacity: blocks * blockSize,
    Free: available * blockSize,
    Parts: parts,
  };
}

interface Owner {
  readonly kind: DiskPartKind;
  readonly id: string;
  /** A prune of its kind would take it. */
  readonly isReclaimable: boolean;
}

/** What is needed by several counts as an item of its own. */
const shared = 'shared';
const ownStore: Owner = { kind: 'engine', id: 'store', isReclaimable: false };
const unfinished: Owner = { kind: 'in-progress', id: 'unfinished', isReclaimable: false };

/** Folders of the data root that only builds need. */
const ofBuilds: Readonly<Record<string, Owner>> = {
  'cache-mounts': { kind: 'build-cache', id: 'cache mounts', isReclaimable: true },
  contexts: { kind: 'build-cache', id: 'contexts', isReclaimable: true },
  'build-files': { kind: 'build-cache', id: 'file lists', isReclaimable: true },
  builds: { kind: 'build-cache', id: 'reports', isReclaimable: false },
};

/** Who owns what, as the rows say it at one moment, and the bytes that were found of each. */
class Ledger {
  readonly #ctx: EngineContext;
  readonly #items = new Map<DiskPartKind, Map<string, { size: number; reclaimable: number }>>();
  /** By the digest's hex, of blobs and of chains. */
  readonly #blobs = new Map<string, Owner>();
  readonly #containers = new Map<string, Owner>();
  readonly #volumes = new Map<string, Owner>();
  readonly #entries: readonly JournalEntry[];

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
    this.#entries = ctx.metadata.journal.list();
    this.#ownBlobs();
    for (const { id, isRunning } of ctx.containers.all()) {
      this.#containers.set(id, { kind: 'containers', id, isReclaimable: !isRunning });
    }
    for (const { number, kept } of this.#entries) {
      const owner: Owner = { kind: 'trash', id: `${number}`, isReclaimable: true };
      for (const { kind, key } of kept) if (kind === 'container') this.#containers.set(key, owner);
    }
    for (const { name } of ctx.volumes.list()) {
      this.#volumes.set(name, { kind: 'volumes', id: name, isReclaimable: volumeUsers(ctx, name).length === 0 });
    }
  }

  #ownBlobs(): void {
    const { blobs, layers } = this.#ctx.metadata;
    const prunable = prunableImages(this.#ctx);
    for (const use of blobs.uses()) this.#blobs.set(digestHex(use.digest), this.#ownerOf(use, prunable));
    for (const [chain, top] of layers.chainTops()) {
      const owner = this.#blobs.get(digestHex(top));
      const hex = digestHex(chain);
      if (owner && !this.#blobs.has(hex)) this.#blobs.set(hex, owner);
    }
  }

  #ownerOf({ images, containers, isCached, undo }: BlobUse, prunable: ReadonlySet<Digest>): Owner {
    const isAlone = containers.length === 0 && !isCached;
    if (images.length > 0) {
      const isReclaimable = isAlone && images.every((image) => prunable.has(image));
      return { kind: 'images', id: images.length === 1 ? images[0]! : shared, isReclaimable };
    }
    if (containers.length > 0) {
      const stopped = containers.every((id) => this.#ctx.containers.get(id)?.isRunning === false);
      const id = containers.length === 1 ? containers[0]! : shared;
      return { kind: 'containers', id, isReclaimable: stopped && !isCached };
    }
    if (isCached) return { kind: 'build-cache', id: 'results', isReclaimable: true };
    return undo === undefined ? unfinished : { kind: 'trash', id: `${undo}`, isReclaimable: true };
  }

  add({ path, sizeBytes }: DiskEntry): void {
    const { kind, id, isReclaimable } = this.#find(path);
    const items = this.#items.get(kind) ?? new Map<string, { size: number; reclaimable: number }>();
    this.#items.set(kind, items);
    const item = items.get(id) ?? { size: 0, reclaimable: 0 };
    items.set(id, {
      size: item.size + sizeBytes,
      reclaimable: item.reclaimable + (isReclaimable ? sizeBytes : 0),
    });
  }

  #find(path: readonly string[]): Owner {
    const [folder, name, ...rest] = path;
    if (name === undefined) return ownStore;
    switch (folder) {
      case 'content':
        return this.#findBlob(name, rest);
      case 'layers':
        return this.#blobs.get(derivedFrom(rest.at(-1) ?? name) ?? '') ?? ownStore;
      case 'snapshots':
        return this.#containers.get(name) ?? unfinished;
      case 'containers':
        return this.#findContainerFile(name, rest);
      case 'volumes':
        return name === '.aside' ? asideOwner(rest[0]) : (this.#volumes.get(name) ?? unfinished);
      case 'tmp':
        return unfinished;
      default:
        return ofBuilds[folder ?? ''] ?? ownStore;
    }
  }

  #findBlob(folder: string, [algorithm, hex]: readonly string[]): Owner {
    if (folder !== 'blobs' && folder !== 'recipes') return algorithm === undefined ? ownStore : unfinished;
    return hex === undefined ? ownStore : (this.#blobs.get(hex) ?? unfinished);
  }

  #findContainerFile(id: string, [file]: readonly string[]): Owner {
    const owner = this.#containers.get(id) ?? unfinished;
    return owner.kind === 'containers' && file?.startsWith('container.log') ? { ...owner, kind: 'logs' } : owner;
  }

  parts(): DiskPart[] {
    return diskPartKinds.map((kind) => {
      const items = this.#itemsOf(kind);
      return {
        Kind: kind,
        ...this.#counts(kind),
        Size: items.reduce((sum, item) => sum + item.Size, 0),
        Reclaimable: items.reduce((sum, item) => sum + item.Reclaimable, 0),
        Items: items,
      };
    });
  }

  #itemsOf(kind: DiskPartKind): DiskItem[] {
    return [...(this.#items.get(kind) ?? [])]
      .map(([id, { size, reclaimable }]) => ({
        ID: id,
        Name: this.#nameOf(kind, id),
        Size: size,
        Reclaimable: reclaimable,
      }))
      .sort((a, b) => b.Size - a.Size);
  }

  #nameOf(kind: DiskPartKind, id: string): string {
    const { metadata, containers } = this.#ctx;
    if (kind === 'containers' || kind === 'logs') return containers.get(id)?.name.replace(/^\//, '') ?? id;
    if (kind === 'images') {
      const image = metadata.images.get(id as Digest);
      return (image && [...familiarNames(image).tags, ...familiarNames(image).digests][0]) ?? id;
    }
    const entry = kind === 'trash' ? this.#entries.find(({ number }) => `${number}` === id) : undefined;
    return entry ? `${entry.action} ${entry.subject}`.trim() : id;
  }

  #counts(kind: DiskPartKind): { Total: number; Active: number } {
    const { metadata, containers } = this.#ctx;
    const all = [...containers.all()];
    switch (kind) {
      case 'images': {
        const used = new Set(all.map(({ body }) => body.imageID));
        const images = metadata.images.list();
        return { Total: images.length, Active: images.filter(({ id }) => used.has(id)).length };
      }
      case 'containers':
      case 'logs':
        return { Total: all.length, Active: all.filter(({ isRunning }) => isRunning).length };
      case 'volumes': {
        const owners = [...this.#volumes.values()];
        return { Total: owners.length, Active: owners.filter(({ isReclaimable }) => !isReclaimable).length };
      }
      case 'build-cache':
        return { Total: metadata.buildCache.list().length, Active: 0 };
      case 'trash':
        return { Total: this.#entries.length, Active: 0 };
      default:
        return { Total: 0, Active: 0 };
    }
  }
}

function asideOwner(label: string | undefined): Owner {
  return label === undefined ? ownStore : { kind: 'trash', id: label, isReclaimable: true };
}
