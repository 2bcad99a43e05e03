/**
 * Two writes within one tick of a file system's clock leave the same stamp (git's "racy" files): ext4 ticks in ms, older ones in seconds. A content
 * that was read later than this after the last change is safe to be known again by its stamp.
 */
const tickMs = 2000;

/**
 * Whether a file had been left alone for long enough before the listing. The time of the last change of any kind counts, which nobody can set back;
 * `mtime` is anybody's to set.
 */
export function isSettled(stamp: string | undefined, takenMs: number): boolean {
  if (stamp === undefined) return false;
  const changedMs = Number(stamp.slice(stamp.lastIndexOf(' ') + 1)) / 1e6;
  return changedMs + tickMs < takenMs;
}
