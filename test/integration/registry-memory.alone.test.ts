import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';

const clients = 60;
const layerBytes = 6 << 20;
const maxMemoryKiB = 300 << 10;

/** One open-ended chunk, as docker pushes a layer, then the PUT that ends it; answers the status of that. */
async function pushLayer(address: string, name: string, layer: Buffer): Promise<number> {
  const begun = await fetch(`http://${address}/v2/${name}/blobs/uploads/`, { method: 'POST' });
  const location = `http://${address}${begun.headers.get('location')}`;
  const patch = request(location, { method: 'PATCH' });
  const answered = once(patch, 'response');
  for (let at = 0; at < layer.length; at += 32 << 10)
    if (!patch.write(layer.subarray(at, at + (32 << 10)))) await once(patch, 'drain');
  patch.end();
  const [answer] = await answered;
  answer.resume();
  assert.equal(answer.statusCode, 202);
  const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  return (await fetch(`${location}?digest=${digest}`, { method: 'PUT' })).status;
}

test('many large layers at once take a registry little memory', async () => {
  await using folder = await temporaryFolder();
  const main = join(import.meta.dirname, '..', '..', 'bench', 'registry-process.ts');
  const flags = ['--disable-warning=ExperimentalWarning', main, join(folder.path, 'data'), '127.0.0.1:0'];
  const child = spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [address] = await once(createInterface({ input: child.stdout }), 'line');
    const layers = Array.from({ length: clients }, () => randomBytes(layerBytes));
    const statuses = await Promise.all(layers.map((layer, at) => pushLayer(address, `team/app${at}`, layer)));
    assert.deepEqual([...new Set(statuses)], [201]);
    const status = await readFile(`/proc/${child.pid}/status`, 'latin1');
    const peakKiB = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
    assert.ok(peakKiB < maxMemoryKiB, `${peakKiB} KiB`);
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
});
