import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDockerfile } from '#dockerfile';
import { BuildPlan } from './convert/index.ts';
import { neededFiles } from './needed-files.ts';
import type { NamedContext } from './types.ts';

const platform = { os: 'linux', architecture: 'amd64' };

function needed(dockerfile: string, contexts: Readonly<Record<string, NamedContext>> = {}) {
  const options = { target: '', labels: {}, buildArgs: {}, networkMode: 'default' };
  const plan = new BuildPlan(parseDockerfile(Buffer.from(dockerfile)), {
    ...options,
    ...{ buildPlatform: platform, targetPlatform: platform, contexts: new Map(Object.entries(contexts)) },
  });
  return Object.fromEntries(neededFiles(plan.convert(new Map())));
}

const files: NamedContext = { kind: 'files', context: (async function* () {})() };

test('what is needed of a context is what its steps name', () => {
  assert.deepEqual(needed('FROM scratch\nCOPY b /x/../a* ./c/ /\nADD https://x.test/y d /z/'), {
    '': ['a*', 'b', 'c', 'd'],
  });
  assert.deepEqual(needed('FROM scratch\nARG D=e\nCOPY $D /\nRUN --mount=source=f,target=/f ["x"]'), {
    '': ['e', 'f'],
  });
  assert.deepEqual(needed('FROM scratch AS a\nCOPY a /\nFROM scratch\nCOPY b /'), { '': ['b'] });
  assert.deepEqual(needed('FROM scratch\nENV A=b'), {});
});

test('all of it may be needed', () => {
  for (const source of ['.', '/', './', '--parents **/x', 'a/..']) {
    assert.deepEqual(needed(`FROM scratch\nCOPY one /\nCOPY ${source} /`), {}, source);
  }
});

test('contexts by name stand in for stages and images', () => {
  const dockerfile = 'FROM lib AS base\nCOPY x /\nFROM base\nCOPY --from=other /y /\nCOPY --from=lib /z /';
  assert.deepEqual(needed(dockerfile, { lib: files, other: files }), { '': ['x'], other: ['y'] });
  assert.deepEqual(needed(dockerfile, { base: files, lib: files, other: files }), { lib: ['z'], other: ['y'] });
});
