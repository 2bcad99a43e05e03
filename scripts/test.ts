/**
 * The whole test run, in the order in which a fault is cheapest to learn of. `check` stops before integration.
 * Node's own runner prints the closing counts of each part.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);

interface Part {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

function testPart(name: string, patterns: readonly string[], options: readonly string[] = []): Part {
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).sort();
  return {
    name,
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', '--test', ...options, ...files],
  };
}

const quick: readonly Part[] = [
  { name: 'types', command: bin('tsc'), args: ['--noEmit'] },
  { name: 'lint', command: bin('biome'), args: ['check', '.'] },
  testPart('architecture, docs and unit', ['test/*.test.ts', 'src/**/*.test.ts'], ['--test-concurrency=2']),
];
const slow: readonly Part[] = [
  testPart(
    'integration',
    ['test/integration/**/*.test.ts'],
    ['--test-concurrency=1', '--test-timeout=300000', '--test-force-exit'],
  ),
  testPart(
    'compat',
    ['test/compat/**/*.test.ts'],
    ['--test-concurrency=1', '--test-timeout=300000', '--test-force-exit'],
  ),
];

const chosen = process.argv[2] === 'check' ? quick : [...quick, ...slow];
const failed: string[] = [];
for (const part of chosen) {
  console.log(`\n== ${part.name}`);
  const startedMs = Date.now();
  const result = spawnSync(part.command, part.args, { cwd: root, stdio: 'inherit' });
  console.log(
    `== ${part.name}: ${result.status === 0 ? 'ok' : 'FAILED'} in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`,
  );
  if (result.status !== 0) failed.push(part.name);
}
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`);
  process.exit(1);
}
