import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FlagSpec, parseArguments, parseBytes, UsageError } from './flags.ts';

const specs: readonly FlagSpec[] = [
  { name: 'all', short: 'a', type: 'toggle', help: '' },
  { name: 'quiet', short: 'q', type: 'toggle', help: '' },
  { name: 'filter', short: 'f', type: 'list', help: '' },
  { name: 'name', type: 'string', help: '' },
  { name: 'limit', short: 'n', type: 'int', help: '' },
  { name: 'memory', short: 'm', type: 'bytes', help: '' },
  { name: 'cpus', type: 'decimal', help: '' },
];
const parse = (...args: string[]) => parseArguments(specs, args, { interspersed: true });

test('long and short forms, joined and apart', () => {
  const { flags, positionals } = parse(
    '-aq',
    'x',
    '--name=n',
    '--filter',
    'a=b',
    '-fc=d',
    '-n',
    '-3',
    '-m512m',
    '--cpus',
    '1.5',
    'y',
  );
  assert.equal(flags.on('all') && flags.on('quiet'), true);
  assert.deepEqual(positionals, ['x', 'y']);
  assert.equal(flags.text('name'), 'n');
  assert.deepEqual(flags.list('filter'), ['a=b', 'c=d']);
  assert.equal(flags.number('limit'), -3);
  assert.equal(flags.number('memory'), 512 * 1024 ** 2);
  assert.equal(flags.number('cpus'), 1.5);
  assert.equal(flags.has('nothing'), false);
});

test('what follows the first positional, or two dashes, is the command of the container', () => {
  const parsed = parseArguments(specs, ['-a', 'image', 'ls', '-q'], { interspersed: false });
  assert.deepEqual(parsed.positionals, ['image', 'ls', '-q']);
  assert.equal(parsed.flags.on('quiet'), false);
  assert.deepEqual(parse('--', '-a', '--name').positionals, ['-a', '--name']);
  assert.deepEqual(parse('-').positionals, ['-']);
});

test('a toggle may be switched off', () => {
  assert.equal(parse('--all=false').flags.on('all'), false);
  assert.equal(parse('--all=false').flags.has('all'), true);
  assert.equal(parse('-a=0').flags.on('all'), false);
});

test('help is asked for, not refused', () => {
  assert.equal(parse('--help').help, true);
  assert.equal(parse('-h').help, true);
  assert.equal(parse('-a').help, false);
});

test("wrong usage has the words and the status of Docker's client", () => {
  const refused = (args: string[], message: string) =>
    assert.throws(
      () => parse(...args),
      (error) => error instanceof UsageError && error.message === message && error.exitCode === 125,
    );
  refused(['--nope'], 'unknown flag: --nope');
  refused(['-az'], "unknown shorthand flag: 'z' in -az");
  refused(['--name'], 'flag needs an argument: --name');
  refused(['-n'], "flag needs an argument: 'n' in -n");
  refused(['-n', 'x'], 'invalid argument "x" for "-n, --limit" flag: strconv.ParseInt: parsing "x": invalid syntax');
  refused(['--all=x'], 'invalid argument "x" for "-a, --all" flag: strconv.ParseBool: parsing "x": invalid syntax');
  refused(['-m', '1x'], 'invalid argument "1x" for "-m, --memory" flag: invalid size: \'1x\'');
  refused(['--cpus', 'x'], 'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number');
});

test('sizes are powers of 1024', () => {
  assert.deepEqual(['0', '10', '1b', '1k', '1.5g', '2GiB', '-1', 'x', ''].map(parseBytes), [
    0,
    10,
    1,
    1024,
    1.5 * 1024 ** 3,
    2 * 1024 ** 3,
    -1,
    undefined,
    undefined,
  ]);
});
