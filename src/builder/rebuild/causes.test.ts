import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { packHeader } from '#archive';
import { causeOfContent, causeOfPresence, causeOfTime, firstDifference } from './causes.ts';

function cause(path: string, image: Buffer | string, rebuilt: Buffer | string, text = 'RUN x'): string {
  const [one, other] = [Buffer.from(image as string), Buffer.from(rebuilt as string)];
  const { cause, hint = '' } = causeOfContent({
    path,
    image: one,
    rebuilt: other,
    offset: firstDifference(one, other),
    text,
  });
  return `${cause}: ${hint}`;
}

test('times that people can read are the clock', () => {
  const pairs = [
    ['Sat Nov 21 16:49:02 UTC 2026\n', 'Sat Nov 21 16:51:17 UTC 2026\n'],
    ['built 2026-11-21\n', 'built 2026-11-22\n'],
    ['{"at":1795278753}', '{"at":1795279001}'],
    ['{"at":1795278753123}', '{"at":1795279001999}'],
  ] as const;
  for (const [image, rebuilt] of pairs) assert.match(cause('/f', image, rebuilt), /^clock: .*SOURCE_DATE_EPOCH/, image);
});

test('times that formats hold are the clock, with what helps', () => {
  const gzip = (sec: number, body: Buffer | string = 'x') => {
    const bytes = gzipSync(body);
    bytes.writeUInt32LE(sec, 4);
    return bytes;
  };
  assert.match(cause('/f.gz', gzip(1), gzip(2)), /^clock: .*gzip -n/);
  const tar = (sec: number) => packHeader({ type: 'file', path: 'a', mtime: { sec, nsec: 0 } });
  assert.match(cause('/f.tar', tar(1), tar(2)), /^clock: .*tar --sort=name/);
  assert.match(cause('/f.tgz', gzip(1, tar(1)), gzip(1, tar(2))), /^clock: .*tar --sort=name/);
  const pyc = (sec: number) => Buffer.from(`a70d0d0a00000000${sec.toString(16).padStart(8, '0')}00000000`, 'hex');
  assert.match(cause('/a/__pycache__/b.cpython-311.pyc', pyc(1), pyc(2)), /^clock: .*compileall/);
  assert.match(cause('/lib.a', '!<arch>\nx/ 111', '!<arch>\nx/ 112'), /^clock: .*ranlib -D/);
});

test('what tools leave, what they fetch, what they make up', () => {
  assert.match(cause('/var/log/dpkg.log', '1', '2'), /^leftover: a log/);
  assert.match(cause('/var/cache/ldconfig/aux-cache', 'aaaaaaaa', 'aaaaaaab'), /^leftover: ldconfig/);
  assert.match(cause('/etc/machine-id', 'a', 'b'), /^random: the ID of one machine/);
  assert.match(cause('/r', Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]), Buffer.from([9, 2, 3, 4, 5, 6, 7, 8])), /^random:/);
  assert.match(cause('/page', '<p>one</p>', '<p>another</p>', 'RUN curl -o /page https://x'), /^network:/);
  assert.equal(cause('/words', 'one\n', 'another\n'), 'undefined: ');
  assert.equal(causeOfPresence('/srv/abc', 'RUN mktemp', ['srv/abc', 'srv/xyz']).cause, 'random');
  assert.equal(causeOfPresence('/srv/abc', 'RUN make', ['srv/abc']).cause, undefined);
  assert.equal(causeOfPresence('/lib/x', 'RUN apt-get install x', ['lib/x']).cause, 'network');
  assert.equal(causeOfTime('/x').cause, 'clock');
});
