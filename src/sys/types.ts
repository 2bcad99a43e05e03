export type PathLike = string | Buffer;

export interface NanoTime {
  readonly sec: number;
  readonly nsec: number;
}

export interface FullStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly ino: bigint;
  readonly nlink: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly blocks: number;
  readonly atime: NanoTime;
  readonly mtime: NanoTime;
  readonly ctime: NanoTime;
}

/** System calls, typed. */
export interface Sys {
  // mounts -----------------------------------------------------------------------------------------------------
  /** mount(2). `flags` from {@link mountFlags}; `source`/`fsType`/`data` may be empty strings. */
  mount(source: string, target: string, fsType: string, flags: number, data: string): void;
  /** umount2(2). `flags` from {@link umountFlags}. */
  umount(target: string, flags: number): void;
  /**
   * fsopen + fsconfig (string options; a value of `null` sets a flag) + fsmount + move_mount. Repeated keys (`lowerdir+`) are
   * allowed and have no 4 KiB limit. A value of 256 bytes or more must be one absolute path, which is then handed over as a
   * descriptor (the kernel takes no longer strings here). `attrFlags` are MOUNT_ATTR_* bits ({@link mountAttr}). The error's
   * `syscall` is the step that failed and its message carries the kernel's log of the attempt.
   */
  fsMount(
    fsType: string,
    options: readonly (readonly [string, string | null])[],
    target: string,
    attrFlags: number,
  ): void;
  /** A user namespace without processes, for {@link cloneMount}; the caller closes it. The maps are as /proc/<pid>/uid_map has them. */
  openUserNamespace(uidMap: string, gidMap: string): number;
  /**
   * Mounts what is at `source` at `target`, as `flags` from {@link cloneFlags} say; a symlink at `target` is followed. With a user namespace (-1: none) it
   * is shown under other IDs: what the disk has as an ID of the namespace is shown as what that ID is outside. What is mounted or unmounted
   * below `target` does not reach the source, even where that is shared. The error's `syscall` is the step that failed: `mount_setattr` with
   * EINVAL when the file system cannot be shown under other IDs.
   */
  cloneMount(source: string, target: string, userNamespace: number, flags: number): void;
  /** `type` is the filesystem's magic number, `flags` begin as {@link mountFlags} do up to `noExec`; blocks are counted in `blockSize` bytes, `available` is what non-root may use. */
  statfs(path: PathLike): {
    type: number;
    flags: number;
    blockSize: number;
    blocks: number;
    free: number;
    available: number;
    files: number;
    filesFree: number;
  };
  // files ------------------------------------------------------------------------------------------------------
  /** mknod(2); `mode` holds the type bits (S_IFCHR…) and the permissions, which the umask narrows. */
  mknod(path: PathLike, mode: number, major: number, minor: number): void;
  /** lstat(2) with nanoseconds and split device numbers. */
  lstat(path: PathLike): FullStat;
  /** The same; undefined for ENOENT and ENOTDIR, without the cost of an error. */
  lstatIfPresent(path: PathLike): FullStat | undefined;
  /**
   * readdir(3) with an lstat of each entry, in the folder's order, as one text. Eight fields per entry, each ended by a NUL: name (a byte string), mode,
   * links, size, seconds of the last write, device numbers (`major:minor`), `device inode mtime ctime` in ns, and of a file that can be executed
   * `security.capability` in hexadecimal. A folder of thousands takes a fifth of what that many calls take.
   */
  scanFolder(path: PathLike): string;
  /** utimensat(AT_SYMLINK_NOFOLLOW), nanoseconds exact, also before 1970. */
  lutimes(path: PathLike, atime: NanoTime, mtime: NanoTime): void;
  /** lsetxattr(2) and friends never follow symlinks. Names are byte strings. `get` answers undefined when the attribute is not there. */
  lsetxattr(path: PathLike, name: string, value: Uint8Array): void;
  lgetxattr(path: PathLike, name: string): Buffer | undefined;
  llistxattr(path: PathLike): string[];
  lremovexattr(path: PathLike, name: string): void;
  /** renameat2(2); flags from {@link renameFlags}. */
  rename2(from: PathLike, to: PathLike, flags: number): void;
  /**
   * openat2(2) of `path` below the folder `rootFd` with RESOLVE_IN_ROOT (| `resolve`; `beneath` takes its place): a descriptor
   * the caller closes. Other calls reach what is in there by `/proc/self/fd/N/name` paths on such descriptors.
   */
  openInRoot(rootFd: number, path: PathLike, flags: number, mode: number, resolve: number): number;
  /**
   * Fills `into` with the first bytes of a plain file below the folder `rootFd`, no symlink followed on the way, in one call; answers how many there were,
   * 0 also when it is no plain file or not there any more.
   */
  readFileInRoot(rootFd: number, path: PathLike, into: Uint8Array): number;
  /**
   * Makes a file in an open folder where there must be none (O_EXCL), writes it whole, and sets owner, mode and times: what takes
   * six calls of Node's in one. `name` is a byte string (one unit per byte) without slashes; the error's `syscall` is the step that failed.
   */
  writeNewFile(
    folderFd: number,
    name: string,
    data: Uint8Array,
    uid: number,
    gid: number,
    mode: number,
    mtime: NanoTime,
  ): void;
  /**
   * copy_file_range(2), which reflinks where the filesystem can, until `length` bytes are copied or the input ends; answers the
   * bytes copied. Blocking: call it in a worker.
   */
  copyRange(fdIn: number, offsetIn: number, fdOut: number, offsetOut: number, length: number): number;
  /**
   * FIDEDUPERANGE: lets a range of the target share the source's blocks where the kernel finds both equal; what is read stays the same. Offsets and
   * length are whole blocks of the file system. Answers the bytes shared, fewer where the contents differ; ENOTSUP or ENOTTY where the file system
   * cannot, EXDEV across two of them. Blocking: call it in a worker.
   */
  dedupeRange(sourceFd: number, sourceOffset: number, targetFd: number, targetOffset: number, length: number): number;
  /**
   * Blocks for the first `length` bytes of a file, also beyond its end, which stays where it is: what is written there later finds space. EOPNOTSUPP where
   * the file system has no such thing.
   */
  fallocateBeyond(fd: number, length: number): void;
  /** Gives the blocks of a range back; it then reads as zeros and the file keeps its size. */
  fallocatePunch(fd: number, offset: number, length: number): void;
  /** Sets FS_TOPDIR_FL (`chattr +T`) on a folder: ext4 then puts each of its subfolders where it has room. ENOTTY or EOPNOTSUPP where there is no such flag. */
  spreadSubfolders(path: PathLike): void;
  syncfs(fd: number): void;
  /** malloc_trim(3): what was freed between what is in use goes back to the kernel too. */
  trimMemory(): void;
  /** Starts writing a range's dirty pages back and does not wait (SYNC_FILE_RANGE_WRITE). */
  startWriteback(fd: number, offset: number, length: number): void;
  // locks and processes ------------------------------------------------------------------------------------------
  /** Non-blocking exclusive open-file-description lock (F_OFD_SETLK) on an open descriptor: false when another holds it. */
  tryLock(fd: number): boolean;
  /** pidfd_open(2): a close-on-exec descriptor of this very process, readable ({@link whenReadable}) once it has ended. */
  pidfdOpen(pid: number): number;
  /** Signals the process a pidfd was opened on, never another with its number; ESRCH when it has ended. */
  pidfdSignal(pidfd: number, signal: number): void;
  /**
   * pidfd_getfd(2): a close-on-exec duplicate of descriptor `fd` of that process, which must be this one's to trace: a child of the same user is.
   */
  pidfdGetfd(pidfd: number, fd: number): number;
  /** Makes this process adopt orphaned descendants: PR_SET_CHILD_SUBREAPER. */
  setSubreaper(on: boolean): void;
  /** Non-blocking waitpid of one child, adopted or from {@link spawnSession}: undefined while it runs or when it is not ours. */
  reap(pid: number): { code: number; signal: number } | undefined;
  /**
   * Starts a program as leader of a session of its own in `/`, with default signals; `args` has its name in front, `env` is all of its environment
   * (`NAME=value`), `fds[n]` becomes its descriptor n (-1: /dev/null; at most 16). Answers its pid, which the caller {@link reap}s.
   * Unlike fork, which Node's `spawn` is, it copies no page tables and makes none of this process's pages copy-on-write.
   */
  spawnSession(path: string, args: readonly string[], env: readonly string[], fds: readonly number[]): number;
  /** umask(2) of the whole process, also from a worker; answers the old mask. */
  umask(mask: number): number;
  /** Limits of this process by Linux's RLIMIT_* number; no limit is Infinity. */
  getrlimit(resource: number): { soft: number; hard: number };
  close(fd: number): void;
  // sockets --------------------------------------------------------------------------------------------------------
  /** Connects a SOCK_SEQPACKET UNIX socket (a path of any length); the descriptor is non-blocking and close-on-exec. */
  seqpacketConnect(path: string): number;
  /** The same of a SOCK_DGRAM socket: each {@link writeSome} is one datagram. */
  datagramConnect(path: string): number;
  /**
   * Delivers each record read from `fd` (socket, pipe, fifo: anything epoll takes) on the event loop: `onRecord(buffer)`; an
   * empty buffer is end of file and the last call; `onError` is the last call too. The reader works on a duplicate of `fd`, so
   * the caller closes its own when it likes, and makes the open file non-blocking.
   */
  readRecords(
    fd: number,
    maxBytes: number,
    onRecord: (record: Buffer) => void,
    onError: (error: Error) => void,
  ): RecordReader;
  /** write(2) once: bytes taken, or -1 when it would block. */
  writeSome(fd: number, data: Uint8Array): number;
  /**
   * sendfile(2) once, from a file to a socket: bytes that the socket took, 0 at the end of the file, or -1 when a non-blocking socket would block. Reads from the
   * disk what is not in memory: call it in a worker.
   */
  sendFile(socketFd: number, fileFd: number, offset: number, length: number): number;
  /** A close-on-exec duplicate, the caller's to {@link close}. */
  duplicate(fd: number): number;
  /** Calls back once when `fd` is readable, or at its end or error. Works on a duplicate of `fd`. */
  whenReadable(fd: number, callback: () => void): Watch;
  /** Calls back once when `fd` is writable, or broken. Works on a duplicate of `fd`. */
  whenWritable(fd: number, callback: () => void): Watch;
  /** shutdown(2): 0 reading, 1 writing, 2 both. */
  shutdown(fd: number, how: 0 | 1 | 2): void;
  /** ioctl(TIOCSWINSZ). */
  setWindowSize(fd: number, rows: number, columns: number): void;
  /** A pipe, blocking, whose ends (read, write) are close-on-exec. */
  pipe(): [read: number, write: number];
  /** A bound netlink socket of a family (NETLINK_ROUTE is 0) in this process's network namespace. */
  netlinkOpen(family: number): number;
  /**
   * Sends one batch of messages and gathers whole replies until `expectedAcks` acknowledgements, errors or dump ends were seen.
   * An error inside a reply is the caller's to read; after one, only what has already arrived is gathered. ETIMEDOUT after 10 s
   * of silence.
   */
  netlinkTransact(fd: number, messages: Uint8Array, expectedAcks: number): Buffer;
}

/** Something awaited on the event loop, which it keeps alive until it happens, is stopped or unreferenced. */
export interface Watch {
  /** No call comes after it. Idempotent. */
  stop(): void;
  unref(): void;
}

export interface RecordReader extends Watch {
  pause(): void;
  resume(): void;
}

/** mount(2) flags. */
export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  remount: 32,
  noAtime: 1024,
  bind: 4096,
  move: 8192,
  recursive: 16384,
  silent: 32768,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relAtime: 1 << 21,
} as const;

/** `recursive`: with all that is mounted below; `slave`: with what will be. */
export const cloneFlags = { recursive: 1, slave: 2, readOnly: 4 } as const;
export const umountFlags = { force: 1, detach: 2, expire: 4, noFollow: 8 } as const;
export const mountAttr = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  noAtime: 16,
  nodiratime: 128,
} as const;
export const renameFlags = { noReplace: 1, exchange: 2, whiteout: 4 } as const;
/** openat2 RESOLVE_* bits beyond RESOLVE_IN_ROOT. */
export const resolveFlags = { noXdev: 1, noMagicLinks: 2, noSymlinks: 4, beneath: 8, inRoot: 16 } as const;
