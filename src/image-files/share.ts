import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isErrno } from '#errdefs';
import { sys } from '#sys';
import { contentList } from './content-list.ts';
import type { UsageLayer } from './duplicates.ts';
import { type ByteRange, keepsExtents, renewRest } from './fresh-blocks.ts';
import { blocksWithin, phaseOf } from './share-blocks.ts';

/** What sharing did with a layer. */
export interface SharedLayer {
  readonly diffID: string;
  /** Bytes it has in common with others now, or with itself. */
  readonly sharedBytes: number;
  /** Contents of one digest that are not the same: bytes on the disk are no more what they were. */
  readonly differing: number;
}

/**
 * Lets equal contents of tars share their blocks, where the file system can: the kernel compares them and then keeps one (FIDEDUPERANGE). What is read of a
 * tar does not change, whoever has it open or mounted. Layers that were done before are only shared with. Yields each layer that is done. Blocking.
 */
export function* shareFiles(layers: readonly UsageLayer[]): Generator<SharedLayer> {
  using tars = new OpenTars();
  const donors = new Map<string, Donor>();
  const isDone = (layer: UsageLayer) => sharedBefore(layer) !== undefined;
  // Those first that others can share with already.
  const ordered = [...layers].sort((a, b) => Number(isDone(b)) - Number(isDone(a)));
  for (const layer of ordered) {
    try {
      const wishes = wishesOf(layer, donors);
      if (isDone(layer)) continue;
      const done = shareLayer(layer, wishes, tars);
      keepShared(layer, done.sharedBytes);
      yield done;
    } catch (error) {
      // Removed meanwhile.
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

/** What a layer was found to share when it was done; undefined before. Blocking. */
export function sharedBefore({ list }: Pick<UsageLayer, 'list'>): number | undefined {
  try {
    const { version, sharedBytes } = JSON.parse(readFileSync(`${list}.shared`).toString()) as Record<string, unknown>;
    return version === 1 && typeof sharedBytes === 'number' ? sharedBytes : undefined;
  } catch {
    // Not there or not whole: what was shared is found equal and shared again.
    return undefined;
  }
}

export function keepShared({ list }: UsageLayer, sharedBytes: number): void {
  const path = `${list}.shared`;
  writeFileSync(`${path}.tmp`, JSON.stringify({ version: 1, sharedBytes }), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

interface Donor {
  readonly tar: string;
  readonly dataOffset: number;
}

/** Blocks of a tar that another place has too. */
interface Wish extends ByteRange {
  readonly tar: string;
  readonly donorOffset: number;
}

/** What of a layer's tar can be shared, ordered; what nobody has yet is offered to those who follow. */
function wishesOf(layer: UsageLayer, donors: Map<string, Donor>): Wish[] {
  const wishes: Wish[] = [];
  for (const { digest, dataOffset, sizeBytes } of contentList(layer)) {
    const range = blocksWithin(dataOffset, sizeBytes);
    if (range.lengthBytes === 0) continue;
    const key = `${digest}${phaseOf(dataOffset)}`;
    const donor = donors.get(key);
    if (!donor) donors.set(key, { tar: layer.tar, dataOffset });
    else wishes.push({ ...range, tar: donor.tar, donorOffset: blocksWithin(donor.dataOffset, sizeBytes).offset });
  }
  return wishes;
}

/** First with other layers; with itself when what it gives has its place for good. */
function shareLayer(layer: UsageLayer, wishes: readonly Wish[], tars: OpenTars): SharedLayer {
  let [sharedBytes, differing] = [0, 0];
  const share = ({ tar, donorOffset, offset, lengthBytes }: Wish) => {
    const shared = sys.dedupeRange(tars.open(tar), donorOffset, tars.open(layer.tar), offset, lengthBytes);
    if (shared < lengthBytes) differing++;
    sharedBytes += shared;
  };
  for (const wish of wishes) if (wish.tar !== layer.tar) share(wish);
  if (keepsExtents(layer.tar)) renewRest(layer.tar, wishes, `${layer.list}.${process.pid}.tmp`);
  for (const wish of wishes) if (wish.tar === layer.tar) share(wish);
  return { diffID: layer.diffID, sharedBytes, differing };
}

const maxOpen = 256;

/** Tars that are shared with, the latest of them open. */
class OpenTars implements Disposable {
  readonly #open = new Map<string, number>();

  open(path: string): number {
    const known = this.#open.get(path);
    const fd = known ?? openSync(path, 'r');
    this.#open.delete(path);
    this.#open.set(path, fd);
    const [oldest] = this.#open;
    if (this.#open.size > maxOpen) {
      closeSync(oldest![1]);
      this.#open.delete(oldest![0]);
    }
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }
}

/** Codes by which file systems say that they share no blocks. */
const unable = ['EOPNOTSUPP', 'ENOTSUP', 'ENOTTY', 'EINVAL', 'ENOSYS', 'EXDEV', 'EPERM'];

/** Tries to share a block within a folder's file system, as btrfs and XFS can. */
export function canShare(folder: string): boolean {
  const path = `${folder}/.share-${process.pid}`;
  const content = Buffer.alloc(2 * trialBytes, 'x');
  writeFileSync(path, content, { mode: 0o600, flush: true });
  using resources = new DisposableStack();
  resources.defer(() => rmSync(path, { force: true }));
  const fd = resources.adopt(openSync(path, 'r'), closeSync);
  try {
    sys.dedupeRange(fd, 0, fd, trialBytes, trialBytes);
    return true;
  } catch (error) {
    if (!unable.some((code) => isErrno(error, code))) throw error;
    return false;
  }
}

/** A multiple of the blocks of any file system. */
const trialBytes = 64 << 10;
