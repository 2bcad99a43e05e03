/** The thread behind `FileDigest`: reads what another thread writes, from the page cache, and hashes it. Blocks while it waits. */
import { closeSync, openSync, readSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { Progress, stages } from '#concurrency';
import { messageOf } from '#errdefs';
import { createDigester, type Digest } from '#oci';
import { bulkNice, type Finding, type Following, pieceBytes } from './digest-protocol.ts';

const port = parentPort;
if (!port) throw new Error('digest.worker.ts is a worker thread');
setPriority(0, bulkNice);

const piece = Buffer.allocUnsafeSlow(pieceBytes);

port.on('message', (following: Following) => port.postMessage(found(following)));

function found(following: Following): Finding {
  try {
    return { digest: digestOf(following), fault: undefined };
  } catch (error) {
    return { digest: undefined, fault: messageOf(error) };
  }
}

/** Undefined when the file was abandoned. */
function digestOf({ path, algorithm, progress: memory }: Following): Digest | undefined {
  const progress = new Progress(memory);
  const digester = createDigester(algorithm);
  const fd = openSync(path, 'r');
  try {
    for (let hashedBytes = 0; ; ) {
      const { writtenBytes, stage } = progress.beyond(hashedBytes);
      if (stage === stages.abandoned) return undefined;
      if (hashedBytes === writtenBytes) return digester.digest();
      const readBytes = readSync(fd, piece, 0, Math.min(pieceBytes, writtenBytes - hashedBytes), hashedBytes);
      if (readBytes === 0) throw new Error(`the file ends at byte ${hashedBytes} of ${writtenBytes}`);
      digester.update(piece.subarray(0, readBytes));
      hashedBytes += readBytes;
    }
  } finally {
    closeSync(fd);
  }
}
