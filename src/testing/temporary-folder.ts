import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from './scratch.ts';

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/** A folder of the test's own, removed when disposed. */
export async function temporaryFolder(prefix = 'wherry-test-'): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(scratchFolder(), prefix));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
