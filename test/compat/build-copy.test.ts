/** Flags of COPY that dockerd has with BuildKit only: what is copied was compared with BuildKit 0.25. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBuilds } from './build-fixture.ts';
import { lines } from './containers-fixture.ts';

const files = {
  'd/a.txt': '1',
  'd/b.md': '1',
  'd/s/c.txt': '1',
  'hom.txt': '1',
  'home.md': '1',
  homx: '1',
};

/** Each with the paths that are then below /to, and modes of what is not 644 or 755. */
const copies: readonly (readonly [string, string])[] = [
  ['--exclude=*.txt d /to/', 'b.md s s/c.txt'],
  ['--exclude=**/*.txt d /to/', 'b.md s'],
  ['--exclude=*.txt --exclude=*.md hom* /to/', 'hom.txt home.md homx'],
  ['--exclude=hom.txt hom.txt homx /to/', 'hom.txt homx'],
  ['--exclude=d/a.txt d /to/', 'a.txt b.md s s/c.txt'],
  ['--exclude=s d /to/', 'a.txt b.md'],
  ['--exclude=** --exclude=!**/c.txt d /to/', 's s/c.txt'],
  ['--exclude= d/s /to/', 'c.txt'],
  ['--chmod=u+x,g-r d /to/', 'a.txt:704 b.md:704 s:715 s/c.txt:704'],
  ['--chmod=+t homx /to/', 'homx:1644'],
  ['--chmod=0700 d/s homx /to/', 'c.txt:700 homx:700'],
  ['--chmod=0600 homx /to/x/y/', 'x:600 x/y:600 x/y/homx:600'],
  ['--chmod=701 d/s /to/x/y', 'x:701 x/y:701 x/y/c.txt:701'],
  ['--chmod=u=rwx,go= homx /to/x/', 'x x/homx:700'],
  ['--parents d/s/c.txt homx /to/', 'd d/s d/s/c.txt homx'],
  ['--parents ./d/./s/c.txt /to/', 's s/c.txt'],
  ['--parents **/*.txt /to/', 'd d/a.txt d/s d/s/c.txt hom.txt'],
  ['--parents d/./** /to/', 'a.txt b.md s s/c.txt'],
  ['--parents --exclude=c.txt d/s /to', 'd d/s'],
  ['--link homx /to/x', 'x'],
  ['--link --chown=5:6 homx /to/x', 'x'],
];

const listing =
  'cd /to; find . -mindepth 1 | cut -c 3- | sort | while read -r f; do m=$(stat -c %a "$f"); [ $m = 644 -o $m = 755 ] && m= || m=:$m; echo "> $f$m"; done';

test('what is left out, where it goes, and its modes', (t) =>
  withBuilds(t, async ({ build }) => {
    const stages = copies.map(([flags], index) => `FROM base AS s${index}\nCOPY ${flags}\nRUN ${listing}`);
    const last = copies.map((_, index) => `COPY --from=s${index} /bin/busybox /b${index}`);
    const built = await build({ ...files, Dockerfile: `${stages.join('\n')}\nFROM base\n${last.join('\n')}\n` });
    assert.equal(built.status, 0, built.stderr);
    const shown = built.stdout.split(/^Step /m).filter((step) => step.includes(': RUN cd /to'));
    const found = shown.map((step) =>
      lines(step)
        .filter((line) => line.startsWith('> '))
        .map((line) => line.slice(2))
        .join(' '),
    );
    assert.deepEqual(
      found.map((paths, index) => [copies[index]![0], paths]),
      copies.map(([flags, paths]) => [flags, paths]),
    );
  }));

test('what is left out does not count for the cache', (t) =>
  withBuilds(t, async ({ build }) => {
    const Dockerfile = 'FROM base\nCOPY --exclude=*.md d /to/\nCOPY --parents d/*.txt /p/\n';
    await build({ ...files, Dockerfile });
    const hits = async (changed: Readonly<Record<string, string>>) =>
      (await build({ ...files, ...changed, Dockerfile })).stdout.match(/Using cache/g)?.length ?? 0;
    assert.equal(await hits({ 'd/b.md': 'changed' }), 2);
    assert.equal(await hits({ 'd/s/c.txt': 'changed' }), 0);
    assert.equal(await hits({ 'd/a.txt': 'changed' }), 0);
  }));

test('what cannot be', (t) =>
  withBuilds(t, async ({ build }) => {
    const faults: readonly (readonly [string, RegExp])[] = [
      [
        '--parents d/nosuch /p/',
        /COPY failed: file not found in build context or excluded by \.dockerignore: stat d\/nosuch/,
      ],
      ['--parents nosuch/./x /p/', /stat nosuch: file does not exist/],
      ['--chmod=99 homx /a', /invalid chmod parameter: '99'\. it should be octal string and between 0 and 07777/],
      ['--chmod=u+q homx /a', /invalid syntax/],
      ['--exclude=[ d /a/', /syntax error in pattern/],
    ];
    for (const [flags, words] of faults) {
      const failed = await build({ ...files, Dockerfile: `FROM base\nCOPY ${flags}\n` });
      assert.notEqual(failed.status, 0, flags);
      assert.match(failed.stderr, words);
    }
  }));
