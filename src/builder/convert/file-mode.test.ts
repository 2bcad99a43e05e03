import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseModeChange } from './file-mode.ts';

/** A file of 644 and a folder of 755 under BuildKit 0.25. */
const taken: readonly (readonly [string, string, string])[] = [
  ['+w', '666', '777'],
  ['=r', '444', '444'],
  ['u=g', '444', '555'],
  ['+x', '755', '755'],
  ['-r', '200', '311'],
  ['u+t', '1644', '1755'],
  ['o+t', '644', '755'],
  ['a-x+X', '644', '755'],
  ['u=rwX,go=rX', '644', '755'],
  ['ug+s,o-r', '6640', '6751'],
  ['0755', '755', '755'],
  ['00000755', '755', '755'],
  ['7777', '7777', '7777'],
  ['u+s,g+s,o+s', '6644', '6755'],
  ['uo+', '644', '755'],
  ['u++x', '744', '755'],
  ['u+rws', '4644', '4755'],
  ['+s', '6644', '6755'],
  ['o=u,g-w', '646', '757'],
  ['u=o+x', '544', '555'],
  ['-x+X', '644', '755'],
];

for (const [text, file, folder] of taken) {
  test(`--chmod=${text}`, () => {
    const change = parseModeChange(text);
    assert.deepEqual([change(0o644, false).toString(8), change(0o755, true).toString(8)], [file, folder]);
  });
}

test('what is no mode', () => {
  for (const text of [',u+x', 'u+x,', 'u', '+z', 'u+q', 'x']) {
    assert.throws(() => parseModeChange(text), /invalid syntax/, text);
  }
  for (const text of ['8', '1u', '17777', '99']) {
    assert.throws(() => parseModeChange(text), /invalid chmod parameter: '.*'\. it should be octal string and between/);
  }
});
