// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfile variables are what is tested here
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocationError, parseDockerfile } from '#dockerfile';
import { isKind } from '#errdefs';
import type { Digest, ImageConfig, RunConfig } from '#oci';
import { BuildPlan, type Operation, type PlanOptions } from './index.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const id = `sha256:${'a'.repeat(64)}` as Digest;

function plan(text: string, options: Partial<PlanOptions> = {}): BuildPlan {
  return new BuildPlan(parseDockerfile(text), {
    target: '',
    labels: {},
    buildArgs: {},
    networkMode: 'default',
    buildPlatform: platform,
    targetPlatform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    ...options,
  });
}

function imageWith(config: RunConfig): ImageConfig {
  return { ...platform, config, rootfs: { type: 'layers', diff_ids: [] } };
}

function operations(
  text: string,
  options: Partial<PlanOptions> = {},
  base: RunConfig = { Env: ['PATH=/bin'] },
): Operation[] {
  const planned = plan(text, options);
  const bases = new Map(planned.stages.map(({ stage }) => [stage.index, { id, config: imageWith(base) }]));
  return planned.convert(bases).flatMap((stage) => stage.steps.flatMap((step) => step.operations));
}

function history(text: string, options: Partial<PlanOptions> = {}, base?: RunConfig): string[] {
  return operations(text, options, base).flatMap((operation) =>
    'createdBy' in operation ? [operation.createdBy] : [],
  );
}

function lastConfig(text: string, options: Partial<PlanOptions> = {}, base?: RunConfig): RunConfig {
  return operations(text, options, base).at(-1)!.config;
}

test('history as dockerd writes it', () => {
  assert.deepEqual(
    history(
      'FROM x\nARG A=1\nENV B=$A C="d e"\nRUN echo\nCMD ["a", "b\\"c"]\nENTRYPOINT e\nWORKDIR /w\nVOLUME /v /w\nSHELL ["/bin/ash","-c"]\nRUN x\nEXPOSE 80 81/udp\nHEALTHCHECK --retries=2 CMD t\nMAINTAINER me',
    ),
    [
      '/bin/sh -c #(nop)  ARG A=1',
      '/bin/sh -c #(nop)  ENV B=1 C=d e',
      '|1 A=1 /bin/sh -c echo',
      '/bin/sh -c #(nop)  CMD ["a" "b\\"c"]',
      '/bin/sh -c #(nop)  ENTRYPOINT ["/bin/sh" "-c" "e"]',
      '/bin/sh -c #(nop) WORKDIR /w',
      '/bin/sh -c #(nop)  VOLUME [/v /w]',
      '/bin/ash -c #(nop)  SHELL [/bin/ash -c]',
      '|1 A=1 /bin/ash -c x',
      '/bin/ash -c #(nop)  EXPOSE 80 81/udp',
      '/bin/ash -c #(nop)  HEALTHCHECK &{[CMD-SHELL t] 0s 0s 0s 0s 2}',
      '/bin/ash -c #(nop)  MAINTAINER me',
    ],
  );
});

test('arguments: given, default, from before FROM; a stage forgets; ENV wins', () => {
  const text =
    'ARG A=meta\nARG B=meta\nFROM x\nARG A\nARG B=stage\nARG C\nENV R=$A-$B-${C:-none}-$D\nFROM x\nENV R=$A\nARG A\nENV A=env\nRUN r';
  const run = operations(text, { buildArgs: { C: 'given' }, target: '' });
  assert.deepEqual(run.at(-1)!.kind === 'run' && run.at(-1)!.config.Env, ['PATH=/bin', 'R=', 'A=env']);
  const first = operations(`${text.split('\nFROM x\nENV')[0]}`, { buildArgs: { C: 'given' } });
  assert.deepEqual(first.at(-1)!.config.Env, ['PATH=/bin', 'R=meta-stage-given-']);
  assert.deepEqual(
    operations('ARG A=meta\nFROM x\nARG A\nENV R=$A', { buildArgs: { A: 'given' } }).at(-1)!.config.Env?.[1],
    'R=given',
  );
});

test('proxies reach RUN but neither history nor key; declared they do', () => {
  const buildArgs = { http_proxy: 'p' };
  const [, hidden] = operations('FROM x\nRUN r', { buildArgs });
  assert.ok(hidden?.kind === 'run');
  assert.deepEqual(hidden.env, ['PATH=/bin', 'http_proxy=p']);
  assert.equal(hidden.createdBy, '|0 /bin/sh -c r');
  assert.equal(history('FROM x\nARG http_proxy\nRUN r', { buildArgs }).at(-1), '|1 http_proxy=p /bin/sh -c r');
});

test('the platform family, in FROM without ARG, in stages with it', () => {
  const [stage] = plan('FROM --platform=$BUILDPLATFORM base-$TARGETARCH$TARGETVARIANT').stages;
  assert.deepEqual(stage!.base, { kind: 'image', reference: 'base-arm64v8', platform: 'linux/amd64' });
  assert.deepEqual(
    lastConfig('FROM x\nENV A=$TARGETPLATFORM\nARG TARGETPLATFORM\nARG BUILDARCH\nENV B=$TARGETPLATFORM C=$BUILDARCH')
      .Env,
    ['PATH=/bin', 'A=', 'B=linux/arm64/v8', 'C=amd64'],
  );
});

test('the stage that was asked for is a predefined ARG', () => {
  const text = 'FROM a AS one\nARG TARGETSTAGE\nENV S=$TARGETSTAGE\n';
  const shown = (target: string) => history(text, { target }).at(-1);
  assert.deepEqual([shown(''), shown('one')], ['/bin/sh -c #(nop)  ENV S=default', '/bin/sh -c #(nop)  ENV S=one']);
});

test('only stages that the target needs are converted, all are numbered', () => {
  const text =
    'FROM a AS one\nRUN 1\nFROM b AS two\nRUN 2\nFROM one AS three\nCOPY --from=3 / /\nFROM c AS four\nCOPY --from=one x y\nCOPY --from=img x y';
  assert.throws(() => plan(text), /invalid from flag value 3: index out of bounds/);
  const planned = plan(text.replace('--from=3', '--from=0'));
  assert.deepEqual(
    planned.stages.map((stage) => [stage.firstStep, stage.needed]),
    [
      [1, true],
      [3, false],
      [5, false],
      [7, true],
    ],
  );
  assert.equal(planned.totalSteps, 9);
  const from = planned
    .convert(new Map([0, 3].map((index) => [index, { id, config: imageWith({}) }])))
    .at(-1)!
    .steps.flatMap((step) => step.operations)
    .flatMap((operation) => (operation.kind === 'copy' ? [operation.from] : []));
  assert.deepEqual(from, [
    { kind: 'stage', stage: 0 },
    { kind: 'image', reference: 'img' },
  ]);
});

test("targets: by name whatever the case, unknown ones in dockerd's words", () => {
  assert.equal(plan('FROM a AS One\nFROM b', { target: 'ONE' }).stages.length, 1);
  assert.throws(() => plan('FROM a', { target: 'zz' }), /^EngineError: target stage "zz" could not be found$/);
});

test('a stage on another takes its configuration; CMD before ENTRYPOINT stays, inherited goes', () => {
  const base = { Env: ['PATH=/bin'], Cmd: ['old'], Entrypoint: ['e'], User: 'u' };
  assert.deepEqual(lastConfig('FROM x AS a\nENV A=1\nFROM a\nENTRYPOINT ["n"]', {}, base), {
    Env: ['PATH=/bin', 'A=1'],
    Cmd: null,
    Entrypoint: ['n'],
    User: 'u',
  });
  assert.deepEqual(lastConfig('FROM x\nCMD ["c"]\nENTRYPOINT ["n"]', {}, base).Cmd, ['c']);
});

test('HEALTHCHECK takes what it leaves open from the one before', () => {
  const config = lastConfig('FROM x\nHEALTHCHECK --interval=5s --retries=3 CMD a\nHEALTHCHECK NONE');
  assert.deepEqual(config.Healthcheck, { Test: ['NONE'], Interval: 5_000_000_000, Retries: 3 });
});

test('ONBUILD triggers run under FROM and are gone afterwards', () => {
  const planned = plan('FROM x\nRUN y');
  const config = imageWith({ OnBuild: ['ENV T=1', 'RUN t'] });
  const [from] = planned.convert(new Map([[0, { id, config }]]))[0]!.steps;
  assert.equal(from!.preface, '# Executing 2 build triggers\n');
  assert.deepEqual(
    from!.operations.map((operation) => operation.kind),
    ['image', 'config', 'run'],
  );
  assert.equal('OnBuild' in from!.operations.at(-1)!.config, false);
});

test('labels of the build are the last steps, sorted and not expanded', () => {
  assert.deepEqual(history('FROM x', { labels: { z: '$PATH', a: '1' } }), [
    '/bin/sh -c #(nop)  LABEL a=1',
    '/bin/sh -c #(nop)  LABEL z=$PATH',
  ]);
});

test('heredocs of RUN: the script itself, a shebang, several put together again', () => {
  const commands = operations(
    'FROM x\nRUN <<EOF\na\nb\nEOF\nRUN <<-S\n\t#!/bin/x\n\tgo\nS\nRUN cat <<A <<B\n1\nA\n2\nB\n',
  ).flatMap((operation) => (operation.kind === 'run' ? [{ args: operation.args, script: operation.script }] : []));
  assert.deepEqual(commands, [
    { args: ['/bin/sh', '-c', 'a\nb\n'], script: undefined },
    { args: ['/.heredoc-S'], script: { path: '/.heredoc-S', content: '#!/bin/x\ngo\n' } },
    { args: ['/bin/sh', '-c', 'cat <<A <<B\n1\nA\n2\nB'], script: undefined },
  ]);
});

test('heredocs of COPY are expanded unless their word is quoted', () => {
  const copies = operations('FROM x\nARG N=1\nCOPY <<a <<"b" /d/\n$N "q"\na\n$N\nb\n').flatMap((operation) =>
    operation.kind === 'copy' ? operation.inline.map((file) => file.content) : [],
  );
  assert.deepEqual(copies, ['1 "q"\n', '$N\n']);
});

const refused: readonly (readonly [string, RegExp])[] = [
  [
    'FROM x\n\nRUN --mount=type=secret,id=a x',
    /^EngineError: dockerfile line 3: RUN --mount=type=secret,id=a is not supported$/,
  ],
  ['FROM x\nRUN --mount=target=/c,type=ssh x', /line 2: RUN --mount=target=\/c,type=ssh is not supported/],
  ['FROM x\nRUN --security=insecure x', /line 2: RUN --security=insecure/],
];

for (const [text, message] of refused) {
  test(`refused before anything runs: ${text.split('\n').at(-1)}`, () => {
    assert.throws(
      () => plan(text),
      (error) => isKind(error, 'not-implemented') && message.test(String(error)),
    );
  });
}

test('what an unneeded stage cannot do does not matter', () => {
  assert.equal(plan('FROM x AS a\nRUN --mount=type=secret,id=a x\nFROM x').stages[0]!.needed, false);
});

test('faults in values name their line', () => {
  assert.throws(
    () => operations('FROM x\nENV a=1\nEXPOSE abc'),
    (error) =>
      error instanceof LocationError && error.range.startLine === 3 && error.message === 'Invalid containerPort: abc',
  );
  assert.throws(() => plan('FROM ${NOPE}'), /base name \(\$\{NOPE\}\) should not be blank/);
  assert.throws(() => plan('FROM a AS x\nFROM b AS X\n'), /x stage name already used/);
});

test('given arguments that nothing takes up', () => {
  const planned = plan('ARG M\nFROM x\nARG A\nFROM x', {
    buildArgs: { A: '1', M: '2', Z: '3', Y: '4', no_proxy: '5' },
  });
  assert.deepEqual(planned.unusedArguments, ['Y', 'Z']);
});

test('lines that add up to more than a machine can hold are refused where they do', () => {
  const lines = Array.from({ length: 3000 }, (_, number) => `ENV N${number}=`);
  assert.throws(
    () => operations(['FROM x', ...lines].join('\n')),
    (error) =>
      error instanceof LocationError &&
      /configurations of its steps hold more than 4000000 labels/.test(error.message) &&
      error.range.startLine > 2500,
  );
});
