import assert from 'node:assert/strict';
import { test } from 'node:test';
import { safeName } from './safe-name.ts';

test('what people read stays as it is', () => {
  for (const name of ['/etc/passwd', '/srv/Grüße 你好.txt', "/it's", '/a b', '/$x*?'])
    assert.equal(safeName(name), name);
});

test('what steers a terminal or hides is escaped', () => {
  assert.equal(safeName('/a\nb'), '"/a\\nb"');
  assert.equal(safeName('/\x1b[31mred'), '"/\\x1b[31mred"');
  assert.equal(safeName('/evil\u202etxt.exe'), '"/evil\\u202etxt.exe"');
  assert.equal(safeName('/\u{e0041}'), '"/\\u{e0041}"');
  assert.equal(safeName('/quo"te\\'), '"/quo\\"te\\\\"');
  assert.equal(safeName('/end '), '"/end "');
});

test('a name that is not UTF-8 is told byte by byte', () => {
  assert.equal(safeName('/\ufffd\n', Buffer.from([0x2f, 0xff, 0x0a]).toString('base64')), '"/\\xff\\n"');
});
