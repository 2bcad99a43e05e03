import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import type { ConfigFields } from './index.ts';
import { formatDuration, parseChanges, parseDurationNs } from './index.ts';

const empty: ConfigFields = {};

test('every kind of change', () => {
  const apply = parseChanges([
    'ENV A=1 B="two words"',
    'CMD ["sh"]',
    'ENTRYPOINT echo $A',
    'EXPOSE 80 8000-8001/udp',
    'LABEL x=$A',
    'ONBUILD RUN x',
    'USER u:g',
    'VOLUME /a /b',
    'WORKDIR /x',
    'WORKDIR y/../z',
    'STOPSIGNAL SIGUSR1',
    'HEALTHCHECK --retries=2 --interval=5s CMD true',
  ]);
  assert.deepEqual(apply(empty), {
    Env: ['A=1', 'B=two words'],
    Cmd: ['sh'],
    Entrypoint: ['/bin/sh', '-c', 'echo $A'],
    ExposedPorts: { '80/tcp': {}, '8000/udp': {}, '8001/udp': {} },
    Labels: { x: '1' },
    OnBuild: ['RUN x'],
    User: 'u:g',
    Volumes: { '/a': {}, '/b': {} },
    WorkingDir: '/x/z',
    StopSignal: 'SIGUSR1',
    Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5_000_000_000, Retries: 2 },
  });
});

test('the configuration given is not changed, its Env is seen and keeps its order', () => {
  const config = { Env: ['PATH=/bin', 'X=1'], Cmd: ['old'], Hostname: 'h' };
  const changed = parseChanges(['ENV X=$X:2 Y=3', 'ENTRYPOINT ["e"]'])(config);
  assert.deepEqual(config, { Env: ['PATH=/bin', 'X=1'], Cmd: ['old'], Hostname: 'h' });
  assert.deepEqual(changed, {
    Env: ['PATH=/bin', 'X=1:2', 'Y=3'],
    Cmd: null,
    Entrypoint: ['e'],
    Hostname: 'h',
  });
});

test('an empty CMD takes the command away, and an EXPOSE of nothing exposes nothing', () => {
  assert.deepEqual(parseChanges(['CMD []', 'EXPOSE $NOTHING'])({ Cmd: ['old'] }), { Cmd: null });
});

test('no changes is the same configuration', () => {
  const config = { User: 'x' };
  assert.equal(parseChanges([])(config), config);
});

const refused: readonly (readonly [string, string])[] = [
  ['RUN x', 'RUN is not a valid change command'],
  ['copy a b', 'copy is not a valid change command'],
  ['FOO', 'FOO is not a valid change command'],
  ['ENV a', 'ENV must have two arguments'],
  ['USER', 'USER requires exactly one argument'],
  ['EXPOSE abc', 'Invalid containerPort: abc'],
  ['EXPOSE 80/xyz', 'Invalid proto: xyz'],
  ['EXPOSE 70000', 'Invalid containerPort: 70000'],
  ['STOPSIGNAL SIGNOPE', 'invalid signal: SIGNOPE'],
  ['STOPSIGNAL 0', 'invalid signal: 0'],
];

for (const [line, message] of refused) {
  test(`refuses ${line}`, () => {
    assert.throws(
      () => parseChanges([line])(empty),
      (error) => isKind(error, 'invalid-argument') && (error as Error).message === message,
    );
  });
}

test('durations as Go writes and reads them', () => {
  const pairs: readonly (readonly [string, bigint, string])[] = [
    ['1h30m', 5_400_000_000_000n, '1h30m0s'],
    ['1.5s', 1_500_000_000n, '1.5s'],
    ['90s', 90_000_000_000n, '1m30s'],
    ['10ms', 10_000_000n, '10ms'],
    ['3us', 3_000n, '3µs'],
    ['7ns', 7n, '7ns'],
    ['0', 0n, '0s'],
    ['-2s', -2_000_000_000n, '-2s'],
  ];
  for (const [text, ns, written] of pairs) {
    assert.equal(parseDurationNs(text), ns);
    assert.equal(formatDuration(ns), written);
  }
  for (const bad of ['', 's', '.s', '1', '1x', '--1s', '9999999999999999999h']) {
    assert.throws(() => parseDurationNs(bad), RangeError);
  }
});
