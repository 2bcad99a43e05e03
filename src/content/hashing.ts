import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Digest, DigestAlgorithm } from '#oci';

const chunkBytes = 1 << 20;

/** Hash state over the first `sizeBytes` of a file, read in slices so that the loop stays free. */
export async function hashFile(file: FileHandle, algorithm: DigestAlgorithm, sizeBytes: number): Promise<Hash> {
  const hash = createHash(algorithm);
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(chunkBytes, sizeBytes)));
  for (let position = 0; position < sizeBytes; ) {
    const wanted = Math.min(buffer.length, sizeBytes - position);
    const { bytesRead } = await file.read(buffer, 0, wanted, position);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  return hash;
}

export function digestOfHash(algorithm: DigestAlgorithm, hash: Hash): Digest {
  return `${algorithm}:${hash.digest('hex')}` as Digest;
}
