/** Hashes files whole, one request at a time. */
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { StoredBlob } from '#content';
import { EngineError, messageOf } from '#errdefs';
import type { RehashAnswer, RehashRequest } from './rehash.ts';

const buffer = Buffer.allocUnsafeSlow(1 << 20);

function rehash({ path, algorithm }: RehashRequest): RehashAnswer {
  try {
    using blob = StoredBlob.open(path);
    const hash = createHash(algorithm);
    let sizeBytes = 0;
    for (;;) {
      const read = blob.read(buffer, sizeBytes);
      if (read === 0) return { sizeBytes, digest: `${algorithm}:${hash.digest('hex')}` };
      hash.update(buffer.subarray(0, read));
      sizeBytes += read;
    }
  } catch (error) {
    if (error instanceof EngineError) return { fault: messageOf(error) };
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { fault: code === 'ENOENT' ? 'its file is missing' : `its file cannot be read: ${code}` };
  }
}

parentPort!.on('message', (request: RehashRequest) => parentPort!.postMessage(rehash(request)));
