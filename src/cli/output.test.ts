import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProgressMessage } from '#api-types';
import { parsePublish } from './ports.ts';
import { drawProgress } from './progress.ts';
import { ellipsis, formatTable, humanAge, humanSize, shortID } from './table.ts';

test('columns stand three spaces apart, none is narrower than ten, the last one has no padding', () => {
  const table = formatTable(
    ['A', 'LONG'],
    [
      ['much wider', 'x'],
      ['ü', ''],
    ],
  );
  assert.equal(formatTable(['A', 'B'], []), 'A         B\n');
  assert.equal(table, 'A            LONG\nmuch wider   x\nü            \n');
});

test('sizes in powers of 1000 with three digits', () => {
  assert.deepEqual(
    [0, 999, 1000, 1_984_162, 845_000_000, 1_050_000_000].map((bytes) => humanSize(bytes)),
    ['0B', '999B', '1kB', '1.98MB', '845MB', '1.05GB'],
  );
});

test("ages in Docker's words", () => {
  const ago = (seconds: number) => humanAge(1_000_000 - seconds, 1_000_000_000);
  const cases: [number, string][] = [
    [0, 'Less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [180, '3 minutes'],
    [3600, 'About an hour'],
    [2 * 3600, '2 hours'],
    [3 * 86_400, '3 days'],
  ];
  for (const [seconds, text] of cases) assert.equal(ago(seconds), text);
});

test('cut texts and identifiers', () => {
  assert.equal(ellipsis('abcdef', 4), 'abc…');
  assert.equal(ellipsis('abcd', 4), 'abcd');
  assert.equal(shortID(`sha256:${'ab'.repeat(32)}`), 'abababababab');
});

test('published ports', () => {
  assert.deepEqual(parsePublish(['80']), { '80/tcp': [{ HostIp: '', HostPort: '' }] });
  assert.deepEqual(parsePublish(['8080:80', '127.0.0.1:53:53/udp']), {
    '80/tcp': [{ HostIp: '', HostPort: '8080' }],
    '53/udp': [{ HostIp: '127.0.0.1', HostPort: '53' }],
  });
  assert.deepEqual(parsePublish(['[::1]:1-2:3-4']), {
    '3/tcp': [{ HostIp: '::1', HostPort: '1' }],
    '4/tcp': [{ HostIp: '::1', HostPort: '2' }],
  });
  assert.deepEqual(parsePublish(['8000-8010:80']), { '80/tcp': [{ HostIp: '', HostPort: '8000-8010' }] });
  for (const [line, why] of [
    ['80/xyz', /invalid proto: xyz/],
    ['x', /invalid containerPort: x/],
    ['70000', /invalid containerPort/],
    ['x:80', /invalid hostPort: x/],
    ['1-3:1-2', /invalid ranges/],
  ] as const) {
    assert.throws(() => parsePublish([line]), why);
  }
});

/** What a stream of messages looks like on a terminal, or beside one. */
async function drawn(messages: readonly ProgressMessage[], isTTY: boolean, quiet = false) {
  let text = '';
  const out = { isTTY, columns: 120, write: (part: string) => (text += part) !== '' } as unknown as NodeJS.WriteStream;
  async function* stream() {
    yield* messages;
  }
  return { aux: await drawProgress(stream(), out, { quiet }), text };
}

test('progress: lines of state elsewhere, bars in place on a terminal', async () => {
  const messages: ProgressMessage[] = [
    { status: 'Pulling from x', id: 'latest' },
    { status: 'Pulling fs layer', id: 'aaa', progressDetail: {} },
    { status: 'Downloading', id: 'aaa', progressDetail: { current: 5, total: 10 }, progress: 'bar' },
    { status: 'Pull complete', id: 'aaa', progressDetail: {} },
    { aux: { ID: 'sha256:1' } },
    { stream: 'done\n' },
  ];
  const plain = await drawn(messages, false);
  assert.equal(plain.text, 'latest: Pulling from x\naaa: Pulling fs layer\naaa: Pull complete\ndone\n');
  assert.deepEqual(plain.aux, { ID: 'sha256:1' });
  const terminal = await drawn(messages, true);
  assert.match(terminal.text, /\u001b\[1A\u001b\[2K\raaa: Downloading +\[={25}> +\] +5B\/10B/);
  assert.equal((await drawn(messages, true, true)).text, '');
});
