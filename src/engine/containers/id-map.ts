const idCount = 2 ** 32 - 1;

/**
 * The ID map of a mount, as /proc/<pid>/uid_map has it: what `owner` has on the disk is `user`'s in the container, and the other way round for what
 * `user` makes there. Everybody else stays who he is, but for `user` on the disk, whose place is taken: he is shown as nobody.
 */
export function mountIDMap(owner: number, user: number): string {
  const [low, high] = [Math.min(owner, user), Math.max(owner, user)];
  const same = (from: number, to: number) => (to > from ? [[from, from, to - from]] : []);
  const moved = owner === user ? [[owner, owner, 1]] : [[owner, user, 1]];
  const extents = [...same(0, low), ...same(low + 1, high), ...same(Math.max(low, high) + 1, idCount), ...moved];
  return extents.map((extent) => `${extent.join(' ')}\n`).join('');
}
