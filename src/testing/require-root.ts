import type { TestContext } from 'node:test';

/** Skips the test aloud when the process is not root. Answers true when the test should go on. */
export function requireRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true;
  t.skip('needs root: mounts and namespaces');
  return false;
}
