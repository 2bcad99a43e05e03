/**
 * `testdata/buildkit.json` holds Dockerfiles and what BuildKit says of them (`docker buildx build --call=check,format=json` of buildx 0.29 on dockerd
 * 28.5.2), over an image `tiny` for linux/amd64 whose environment is `PATH=/bin` and with a .dockerignore of `*.secret`, `hid`, `!kept.secret`.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { IgnoreMatcher, parseDockerfile } from '../index.ts';
import { type CheckedBase, type CheckFacts, type CheckWarning, checkDockerfile, checkOptionsOf } from './index.ts';
import { rules } from './rules.ts';

interface Case {
  readonly dockerfile: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly warnings: readonly CheckWarning[];
}

const cases = JSON.parse(readFileSync(join(import.meta.dirname, 'testdata/buildkit.json')).toString()) as Case[];
const amd64 = { os: 'linux', architecture: 'amd64' };
const tiny = { env: ['PATH=/bin'], shell: [], triggers: [], platform: amd64 };
const predefined = ['BUILD', 'TARGET'].flatMap((kind) => [
  [`${kind}PLATFORM`, 'linux/amd64'],
  [`${kind}OS`, 'linux'],
  [`${kind}ARCH`, 'amd64'],
  [`${kind}VARIANT`, ''],
]);

function check({ dockerfile, buildArgs = {}, target }: Omit<Case, 'warnings'>, more: Partial<CheckFacts> = {}) {
  const parsed = parseDockerfile(dockerfile);
  const bases = parsed.stages.map(({ index, baseName }): [number, CheckedBase] => {
    if (baseName === 'scratch') return [index, { kind: 'scratch' }];
    const earlier = parsed.stages.findIndex((stage) => stage.index < index && stage.name === baseName);
    if (earlier >= 0) return [index, { kind: 'stage', stage: earlier }];
    return [index, { kind: 'image', reference: baseName, platform: '', image: tiny }];
  });
  const facts: CheckFacts = {
    buildArgs,
    predefined: Object.fromEntries(predefined),
    targetPlatform: amd64,
    bases: new Map(bases),
    checked: new Set(reached(parsed.stages, new Map(bases), target)),
    ignored: new IgnoreMatcher(['*.secret', 'hid', '!kept.secret']),
    isReference: (text) => /^[a-z0-9][a-z0-9:._/-]*(?<![:/])$/.test(text),
    parsePlatform: (text) => {
      const [os, architecture = 'amd64'] = text === 'amd64' ? ['linux'] : text.split('/');
      return os === 'linux' ? { os, architecture } : undefined;
    },
    ...more,
  };
  return checkDockerfile(parsed, facts, checkOptionsOf(parsed, buildArgs));
}

/** All without a target, else the target's. */
function reached(
  stages: readonly { index: number; name: string }[],
  bases: ReadonlyMap<number, CheckedBase>,
  target: string | undefined,
): number[] {
  if (target === undefined) return stages.map(({ index }) => index);
  const found: number[] = [];
  let at = stages.findIndex(({ name }) => name === target.toLowerCase());
  while (at >= 0) {
    found.push(at);
    const base = bases.get(at);
    at = base?.kind === 'stage' ? base.stage : -1;
  }
  return found;
}

/** BuildKit's order within a line is not always the same. */
function comparable(warnings: readonly CheckWarning[]): CheckWarning[] {
  const key = (warning: CheckWarning) => `${String(warning.startLine).padStart(6)}${warning.rule}${warning.detail}`;
  return warnings.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

for (const each of cases) {
  test(`as BuildKit: ${JSON.stringify(each.dockerfile)} ${JSON.stringify(each.buildArgs ?? '')}`, () => {
    assert.deepEqual(comparable(check(each)), comparable(each.warnings));
  });
}

test('every rule is met, warns and is silent', () => {
  const met = new Set(cases.flatMap(({ warnings }) => warnings.map(({ rule }) => rule)));
  const names = Object.values(rules).map(({ name }) => name);
  assert.deepEqual(
    names.filter((name) => !met.has(name)),
    // Needs an image of another platform: below.
    ['InvalidBaseImagePlatform'],
  );
  for (const name of names)
    assert.ok(
      cases.some(({ warnings }) => warnings.every(({ rule }) => rule !== name)),
      name,
    );
});

test('a base of another platform', () => {
  const image = { ...tiny, platform: { os: 'linux', architecture: 'arm64' } };
  const bases = new Map([[0, { kind: 'image', reference: 'tiny', platform: '', image } as const]]);
  const [warning, ...others] = check({ dockerfile: 'FROM tiny\n' }, { bases });
  assert.deepEqual(
    [warning?.rule, warning?.detail, warning?.startLine, warning && 'url' in warning],
    [
      'InvalidBaseImagePlatform',
      'Base image tiny was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
      1,
      false,
    ],
  );
  assert.deepEqual(others, []);
  const wanted = new Map([[0, { kind: 'image', reference: 'tiny', platform: 'linux/arm64', image } as const]]);
  assert.deepEqual(check({ dockerfile: 'FROM tiny\n' }, { bases: wanted }), []);
});

test('triggers of a base image are looked at, on the line of FROM', () => {
  const image = { ...tiny, triggers: ['ENV a b', 'COPY $nope /x'] };
  const bases = new Map([[0, { kind: 'image', reference: 'tiny', platform: '', image } as const]]);
  assert.deepEqual(
    check({ dockerfile: '\nFROM tiny\n' }, { bases }).map(({ rule, startLine }) => [rule, startLine]),
    [
      ['LegacyKeyValueFormat', 2],
      ['UndefinedVar', 2],
    ],
  );
});

test('options that cannot be read are refused in BuildKit’s words', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['foo=1', 'failed to parse check options: invalid check option "foo"'],
    ['skip', 'failed to parse check options: invalid check option "skip"'],
    ['skip = A', 'failed to parse check options: invalid check option "skip"'],
    [
      'error=maybe',
      'failed to parse check options: failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
  ];
  for (const [value, message] of refused) {
    assert.throws(() => checkOptionsOf(parseDockerfile(`# check=${value}\nFROM a\n`), {}), { message });
  }
  assert.equal(checkOptionsOf(parseDockerfile('# check=error=true;skip=A\nFROM a\n'), {}).error, true);
});
