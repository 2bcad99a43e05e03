import { closeSync, constants, openSync, read, readdirSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { endOfArchive, type PackEntry, packHeader, packPadding } from '#archive';
import { EngineError } from '#errdefs';
import { type FullStat, resolveFlags, sys } from '#sys';
import { containerOwner, type IDMapping } from '../remap/index.ts';
import { TarBlocks } from './tar-blocks.ts';

const readAsync = promisify(read);

const fileTypes = {
  [constants.S_IFREG]: 'file',
  [constants.S_IFDIR]: 'directory',
  [constants.S_IFLNK]: 'symlink',
  [constants.S_IFCHR]: 'char',
  [constants.S_IFBLK]: 'block',
  [constants.S_IFIFO]: 'fifo',
} as const;

/** Up to here a file is read in one call, where the walk finds it; a larger one is waited for. */
const smallFileBytes = 64 << 10;

/** For so long a walk may keep the event loop. */
const turnMs = 4;

/** A block that is full, something to wait for before the next step, or neither. */
type Step = Buffer | (() => Promise<void>) | undefined;

/** A file by its folder and by a path. */
interface PlacedFile {
  readonly folderFd: number;
  readonly name: string;
  readonly path: Buffer;
}

/**
 * A tree below a root as a tar: sorted, hardlinks kept, xattrs and nanosecond times, sockets left out. `rename` puts another name in the first
 * component's place, as `docker cp` wants it. Folders are opened one by one without following symlinks, so a tree that changes meanwhile cannot lead outside.
 * It comes in large blocks, whatever it is made of: a chunk for each header and file costs more than making them.
 */
export class TreeTar {
  readonly #rootFd: number;
  readonly #ids: IDMapping | undefined;
  readonly #blocks: TarBlocks;
  readonly #links = new Map<string, string>();

  /** `ids`: how the owners that are seen here are shown in the container, whose the archive's are. `lend`: a chunk holds until the next is asked for. */
  constructor(rootFd: number, { ids, lend = false }: { ids?: IDMapping | undefined; lend?: boolean | undefined } = {}) {
    this.#rootFd = rootFd;
    this.#ids = ids;
    this.#blocks = new TarBlocks({ lend });
  }

  pack(folder: string, name: string, shownName: string): AsyncGenerator<Uint8Array> {
    return inTurns(this.#archive(folder, (folderFd) => this.#entry(folderFd, name, shownName)));
  }

  /** Everything in a folder, without the folder itself. */
  packChildren(folder: string): AsyncGenerator<Uint8Array> {
    return inTurns(this.#archive(folder, (folderFd) => this.#children(folderFd, '')));
  }

  *#archive(folder: string, steps: (folderFd: number) => Iterable<Step>): Generator<Step> {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    const folderFd = sys.openInRoot(this.#rootFd, folder, flags, 0, resolveFlags.inRoot);
    try {
      yield* steps(folderFd);
    } finally {
      closeSync(folderFd);
    }
    yield* this.#blocks.write(endOfArchive);
    yield* this.#blocks.flush();
  }

  *#children(folderFd: number, prefix: string): Generator<Step> {
    const names = readdirSync(Buffer.from(`/proc/self/fd/${folderFd}`), { encoding: 'buffer' })
      .map((name) => name.toString('latin1'))
      .sort();
    for (const name of names) yield* this.#entry(folderFd, name, `${prefix}${name}`);
  }

  *#entry(folderFd: number, name: string, shownName: string): Generator<Step> {
    const path = Buffer.from(`/proc/self/fd/${folderFd}/${name}`, 'latin1');
    const stat = sys.lstatIfPresent(path);
    const type = stat && fileTypes[(stat.mode & constants.S_IFMT) as keyof typeof fileTypes];
    if (!stat || !type) return;
    const linked = stat.nlink > 1 && type !== 'directory' ? this.#firstName(stat, shownName) : undefined;
    const base = { ...attributes(path, shownName, stat), ...(this.#ids && containerOwner(this.#ids, stat)) };
    if (linked !== undefined) yield* this.#header({ ...base, type: 'hardlink', linkPath: linked });
    else if (type === 'file') yield* this.#file({ folderFd, name, path }, { ...base, type, sizeBytes: stat.size });
    else if (type === 'symlink') yield* this.#header({ ...base, type, linkPath: readlinkSync(path, 'latin1') });
    else yield* this.#header({ ...base, type });
    if (type === 'directory') yield* this.#folder(path, shownName);
    else yield undefined;
  }

  *#folder(path: Buffer, shownName: string): Generator<Step> {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      yield* this.#children(fd, `${shownName}/`);
    } finally {
      closeSync(fd);
    }
  }

  *#header(entry: PackEntry): Generator<Step> {
    yield* this.#blocks.write(packHeader(entry));
  }

  /** Exactly the size announced: a file that grows is cut, one that shrinks meanwhile fails the archive. */
  *#file(file: PlacedFile, entry: PackEntry & { readonly sizeBytes: number }): Generator<Step> {
    const { sizeBytes } = entry;
    yield* this.#header(entry);
    if (sizeBytes > smallFileBytes) yield* this.#largeFile(file, entry);
    else if (sizeBytes > 0) {
      const room = (yield* this.#blocks.room(sizeBytes)).subarray(0, sizeBytes);
      const bytesRead = sys.readFileInRoot(file.folderFd, Buffer.from(file.name, 'latin1'), room);
      if (bytesRead < sizeBytes) throw changed(entry);
      this.#blocks.advance(sizeBytes);
    }
    yield* this.#blocks.write(packPadding(sizeBytes));
  }

  *#largeFile({ path }: PlacedFile, entry: PackEntry & { readonly sizeBytes: number }): Generator<Step> {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      for (let at = 0; at < entry.sizeBytes; ) {
        const room = (yield* this.#blocks.room(1)).subarray(0, entry.sizeBytes - at);
        let bytesRead = 0;
        yield async () => {
          bytesRead = (await readAsync(fd, room, 0, room.byteLength, at)).bytesRead;
        };
        if (bytesRead === 0) throw changed(entry);
        this.#blocks.advance(bytesRead);
        at += bytesRead;
      }
    } finally {
      closeSync(fd);
    }
  }

  #firstName(stat: FullStat, name: string): string | undefined {
    const key = `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
    const first = this.#links.get(key);
    if (first === undefined) this.#links.set(key, name);
    return first;
  }
}

/** Drives a walk so that the event loop gets its turn. */
async function* inTurns(steps: Iterable<Step>): AsyncGenerator<Uint8Array> {
  let since = performance.now();
  for (const step of steps) {
    if (step === undefined) {
      if (performance.now() - since < turnMs) continue;
      await setImmediate();
    } else if (typeof step === 'function') await step();
    else yield step;
    since = performance.now();
  }
}

function attributes(path: Buffer, name: string, stat: FullStat): Omit<PackEntry, 'type'> {
  const names = sys
    .llistxattr(path)
    .filter((attribute) => !attribute.startsWith('trusted.overlay.') && attribute !== 'security.selinux');
  const xattrs = names.flatMap((attribute) => {
    const value = sys.lgetxattr(path, attribute);
    return value === undefined ? [] : [[attribute, withoutRoot(attribute, value)] as const];
  });
  return {
    path: name,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime,
    devMajor: stat.rdevMajor,
    devMinor: stat.rdevMinor,
    ...(xattrs.length > 0 ? { xattrs: new Map(xattrs) } : {}),
  };
}

const capabilityRevision3 = 3;
const revision2Bytes = 20;

/** File capabilities that name the root of a user namespace, which means nothing outside: capabilities(7), `VFS_CAP_REVISION_3`. */
function withoutRoot(attribute: string, value: Buffer): Buffer {
  if (attribute !== 'security.capability' || value[3] !== capabilityRevision3) return value;
  const revision2 = Buffer.from(value.subarray(0, revision2Bytes));
  revision2[3] = 2;
  return revision2;
}

function changed(entry: PackEntry): EngineError {
  return new EngineError('data-loss', `archive ${entry.path}: the file changed while it was read`);
}
