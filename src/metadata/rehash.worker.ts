/** Hashes files whole, one request at a time. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { RehashAnswer, RehashRequest } from './rehash.ts';

const buffer = Buffer.allocUnsafeSlow(1 << 20);

function rehash({ path, algorithm }: RehashRequest): RehashAnswer {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const hash = createHash(algorithm);
    let sizeBytes = 0;
    for (;;) {
      const read = readSync(file, buffer, 0, buffer.length, null);
      if (read === 0) return { sizeBytes, digest: `${algorithm}:${hash.digest('hex')}` };
      hash.update(buffer.subarray(0, read));
      sizeBytes += read;
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { fault: code === 'ENOENT' ? 'its file is missing' : `its file cannot be read: ${code}` };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

parentPort!.on('message', (request: RehashRequest) => parentPort!.postMessage(rehash(request)));
