import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { openContentStore } from '#content';
import { temporaryFolder } from '#testing';
import { openMetadata } from './store.ts';
import { collectLines } from './testsuite.ts';

/** Runs the busy writer, kills it after `lines` acknowledgements, and answers what it had acknowledged. */
async function runAndKill(root: string, round: number, lines: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testdata/busy-writer.ts'), root, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line);
    if (acknowledged.length === lines) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL');
  return acknowledged;
}

test('kill -9 amid many writes: acknowledged work is whole, unfinished work is gone', async () => {
  await using folder = await temporaryFolder();
  for (const [round, lines] of [3, 17, 40, 71].entries()) {
    const acknowledged = await runAndKill(folder.path, round, lines);
    const content = await openContentStore({ root: join(folder.path, 'content') });
    await using metadata = await openMetadata({ root: folder.path, content });
    await metadata.recover();
    assert.deepEqual(await collectLines(metadata.verify()), []);
    assert.deepEqual(await content.ingests(), []);
    const removed = new Set(acknowledged.filter((line) => line.startsWith('-')).map((line) => line.slice(1)));
    const kept = acknowledged.filter((line) => line.startsWith('+')).map((line) => line.slice(1));
    for (const name of kept) {
      if (!removed.has(name) && !acknowledged.includes(`?${name}`))
        assert.ok(metadata.images.byName(name), `${name} was acknowledged`);
    }
    for (const name of removed) assert.equal(metadata.images.byName(name), undefined, `${name} was removed`);
  }
});
