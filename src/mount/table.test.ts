import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mountsBelow, parseMountInfo, readMountTable } from './table.ts';

const plain = '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n';

function escapeLikeKernel(text: string): string {
  return text.replace(/[ \t\n\\#]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

test('a line of proc_pid_mountinfo(5) is read field by field', () => {
  assert.deepEqual(parseMountInfo(plain), [
    {
      id: 36,
      parent: 35,
      root: '/mnt1',
      target: '/mnt2',
      fsType: 'ext3',
      source: '/dev/root',
      options: 'rw,noatime,rw,errors=continue',
    },
  ]);
});

test('optional fields may be absent, and a target named "-" is no separator', () => {
  const [mount] = parseMountInfo('1 2 0:5 / - rw - tmpfs none rw');
  assert.equal(mount?.target, '-');
  assert.equal(mount?.fsType, 'tmpfs');
});

test('every target the kernel can escape comes back as it was', () => {
  const path = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\\', '#', 'a', '0', '4', 'ü', '/') });
  fc.assert(
    fc.property(path, (name) => {
      const line = `1 2 0:5 / /${escapeLikeKernel(name)} rw - tmpfs none rw`;
      assert.equal(parseMountInfo(line)[0]?.target, `/${name}`);
    }),
  );
});

test('a line of another shape is refused', () => {
  assert.throws(() => parseMountInfo('1 2 0:5 / /x rw shared:1 tmpfs none rw'), { kind: 'internal' });
});

test('mounts below a folder come deepest and latest first, neighbours with its prefix left out', () => {
  const line = (id: number, target: string) => `${id} 1 0:5 / ${target} rw - tmpfs none rw`;
  const table = parseMountInfo([line(1, '/a'), line(2, '/a/b'), line(3, '/a/b'), line(4, '/ab')].join('\n'));
  assert.deepEqual(
    mountsBelow('/a', table).map(({ id }) => id),
    [3, 2, 1],
  );
});

test('the table of this process has a root', () => {
  assert.ok(readMountTable().some(({ target }) => target === '/'));
});
