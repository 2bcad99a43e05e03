/**
 * The whole test run, in the order in which a fault is cheapest to learn of. `check` stops before integration.
 * Node's own runner prints the closing counts of each part.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);

const scratch = mkdtempSync(join(tmpdir(), 'wherry-test-run-'));
const failedFiles = join(scratch, 'failed-files');

/** More files than this failing at once is a fault, not the machine's mood. */
const mostToRepeat = 2;

interface Part {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** What runs some of a part's test files again, alone. */
  readonly repeat?: (files: readonly string[]) => readonly string[];
}

function testPart(
  name: string,
  patterns: readonly string[],
  options: readonly string[],
  without: readonly string[] = [],
): Part {
  const argsFor = (files: readonly string[]) => [
    ...['--disable-warning=ExperimentalWarning', '--test', ...options],
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${join(root, 'scripts/failed-files.ts')}`, `--test-reporter-destination=${failedFiles}`],
    ...files,
  ];
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: root, exclude: without })).sort();
  return { name, command: process.execPath, args: argsFor(files), repeat: argsFor };
}

function run(part: Part): boolean {
  const passes = (args: readonly string[]) =>
    spawnSync(part.command, args, { cwd: root, stdio: 'inherit' }).status === 0;
  if (passes(part.args)) return true;
  const files = part.repeat ? readFileSync(failedFiles, 'utf8').split('\n').filter(Boolean) : [];
  if (!part.repeat || files.length === 0 || files.length > mostToRepeat) return false;
  console.log(`\n== ${part.name}: once more, alone: ${files.join(', ')}`);
  if (!passes(part.repeat(files))) return false;
  console.log(`== ${part.name}: UNSTEADY, failed and then passed: ${files.join(', ')}. It has a fault: find it.`);
  return true;
}

const quick: readonly Part[] = [
  { name: 'types', command: bin('tsc'), args: ['--noEmit'] },
  { name: 'lint', command: bin('biome'), args: ['check', '--error-on-warnings', '.'] },
  testPart('architecture, docs and unit', ['test/*.test.ts', 'src/**/*.test.ts'], ['--test-concurrency=2']),
];
const limits = ['--test-timeout=300000', '--test-force-exit'];
const slow: readonly Part[] = [
  // They kill, fill disks, measure memory or look at all that runs.
  testPart('integration, alone', ['test/integration/**/*.alone.test.ts'], ['--test-concurrency=1', ...limits]),
  // Each file has a root or a daemon of its own, and waits for the kernel or the daemon most of the time.
  testPart(
    'integration',
    ['test/integration/**/*.test.ts'],
    ['--test-concurrency=2', ...limits],
    ['test/integration/**/*.alone.test.ts'],
  ),
  testPart('compat', ['test/compat/**/*.test.ts'], ['--test-concurrency=2', ...limits]),
];

const chosen = process.argv[2] === 'check' ? quick : [...quick, ...slow];
const failed: string[] = [];
for (const part of chosen) {
  console.log(`\n== ${part.name}`);
  const startedMs = Date.now();
  const isGreen = run(part);
  console.log(`== ${part.name}: ${isGreen ? 'ok' : 'FAILED'} in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  if (!isGreen) failed.push(part.name);
}
rmSync(scratch, { recursive: true });
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`);
  process.exit(1);
}
