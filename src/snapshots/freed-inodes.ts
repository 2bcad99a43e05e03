/** ext4 passes over an inode for a minute after it was freed, and for five more while what says so is not written out. */
const coolMs = 6 * 60_000;
/** A tree of tens of thousands of files takes the inodes of several groups of blocks behind its folder's; a flexible group of ext4 has 2^17. */
const farInodes = 5 << 17;
/** Each is in a place of its own: most are far from any other. */
const maxTries = 8;

interface Place {
  readonly path: string;
  readonly inode: number;
}

/**
 * Where many inodes were freed in the last minutes. ext4 passes over these one by one with every file that is made among them, and it likes to put new
 * folders where it has just become empty: twenty thousand files took up to 18 s of the kernel's time there, 1.4 elsewhere.
 */
export class FreedInodes {
  readonly #freed = new Map<number, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A tree whose folder had this inode is going, or has gone. */
  note(inode: number): void {
    this.#freed.set(inode, this.#now() + coolMs);
  }

  /** False while any place is as good as another. */
  get isAny(): boolean {
    this.#cool();
    return this.#freed.size > 0;
  }

  /** The first of some places that is far from all of them, else the farthest. `make` and `remove` are called for each that is tried. */
  async farPlace(make: () => Promise<Place>, remove: (path: string) => Promise<void>): Promise<string> {
    const tried: { readonly path: string; readonly distance: number }[] = [];
    let best: string | undefined;
    try {
      do {
        const { path, inode } = await make();
        tried.push({ path, distance: this.#distance(inode) });
      } while (tried.at(-1)!.distance < farInodes && tried.length < maxTries);
      best = tried.reduce((a, b) => (b.distance > a.distance ? b : a)).path;
      return best;
    } finally {
      for (const { path } of tried) if (path !== best) await remove(path);
    }
  }

  #distance(inode: number): number {
    this.#cool();
    return Math.min(...[...this.#freed.keys()].map((freed) => Math.abs(freed - inode)));
  }

  #cool(): void {
    const now = this.#now();
    for (const [inode, untilMs] of this.#freed) if (untilMs <= now) this.#freed.delete(inode);
  }
}
