import { closeSync, fstatSync, openSync } from 'node:fs';
import { isErrno } from '#errdefs';
import { log } from '#log';
import { sys } from '#sys';
import { type Connection, integer } from './connection.ts';

/** What a database is ahead of its pages, and what its log has at least: some hundred rows. */
const aheadBytes = 512 << 10;
/** With less free nothing is taken ahead. */
const plentyBytes = 16 * aheadBytes;

/**
 * Blocks on the disk for a database in WAL mode before they are needed: a page that is committed has its block in the database file, so that no
 * checkpoint finds the disk full, and behind one the log begins anew in blocks that it has. So rows can be removed on a disk without a byte left.
 *
 * The descriptors stay open as long as the database does: closing one would drop the locks that SQLite holds on the file.
 */
export class DatabaseSpace implements Disposable {
  readonly #path: string;
  readonly #pageBytes: number;
  readonly #files: { readonly database: number; readonly log: number };
  #hasLog = false;
  #isPossible = true;

  constructor(path: string, database: Connection) {
    this.#path = path;
    this.#pageBytes = integer(database.get('PRAGMA page_size')!, 'page_size');
    this.#files = { database: openSync(path, 'r+'), log: openSync(`${path}-wal`, 'a', 0o600) };
  }

  /**
   * Inside a transaction, before its commit.
   * @throws ENOSPC when it made the database grow and there is no room for that: better now than at a checkpoint
   */
  take(database: Connection): void {
    if (!this.#isPossible) return;
    const wantedBytes = integer(database.get('PRAGMA page_count')!, 'page_count') * this.#pageBytes;
    // Asked each time: SQLite cuts the file to its pages at the end of a checkpoint.
    const takenBytes = fstatSync(this.#files.database).blocks * 512;
    if (this.#hasLog && wantedBytes + aheadBytes / 2 <= takenBytes) return;
    try {
      if (this.#hasPlenty()) this.#takeAhead(wantedBytes);
      else if (wantedBytes > takenBytes) sys.fallocateBeyond(this.#files.database, wantedBytes);
    } catch (error) {
      if (isErrno(error, 'ENOSPC') || isErrno(error, 'EDQUOT')) throw error;
      this.#isPossible = false;
      log.warn('no space can be set aside for the database', { error });
    }
  }

  #hasPlenty(): boolean {
    const { available, blockSize } = sys.statfs(this.#path);
    return available * blockSize >= plentyBytes;
  }

  #takeAhead(wantedBytes: number): void {
    sys.fallocateBeyond(this.#files.database, wantedBytes + aheadBytes);
    if (!this.#hasLog) sys.fallocateBeyond(this.#files.log, aheadBytes);
    this.#hasLog = true;
  }

  [Symbol.dispose](): void {
    closeSync(this.#files.database);
    closeSync(this.#files.log);
  }
}
