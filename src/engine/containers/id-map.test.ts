import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountIDMap } from './id-map.ts';

/** As the kernel reads a map. */
function shown(map: string, id: number): number | undefined {
  for (const line of map.trim().split('\n')) {
    const [from = 0, to = 0, count = 0] = line.split(' ').map(Number);
    if (id >= from && id < from + count) return to + (id - from);
  }
  return undefined;
}

test('the owner of a folder and the user of a container change places, others do not', () => {
  for (const [owner, user] of [
    [1000, 0],
    [0, 1000],
    [5, 6],
    [7, 7],
  ] as const) {
    const map = mountIDMap(owner, user);
    assert.equal(shown(map, owner), user);
    for (const other of [0, 1, 4, 8, 999, 1001, 65534, 4294967294]) {
      if (other !== owner && other !== user) assert.equal(shown(map, other), other, `${owner} ${user} ${other}`);
    }
    if (owner !== user) assert.equal(shown(map, user), undefined);
    const targets = map
      .trim()
      .split('\n')
      .flatMap((line) => {
        const [, to = 0, count = 0] = line.split(' ').map(Number);
        return [[to, to + count]];
      });
    targets.sort((a, b) => a[0]! - b[0]!);
    for (const [at, [from]] of targets.entries()) assert.ok(at === 0 || targets[at - 1]![1]! <= from!, 'overlap');
  }
});
