import type { FileHandle } from 'node:fs/promises';
import { createDigester, type DigestAlgorithm, type Digester } from '#oci';

const chunkBytes = 1 << 20;

/** What has taken the first `sizeBytes` of a file, read in slices so that the loop stays free. */
export async function hashFile(file: FileHandle, algorithm: DigestAlgorithm, sizeBytes: number): Promise<Digester> {
  const digester = createDigester(algorithm);
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(chunkBytes, sizeBytes)));
  for (let position = 0; position < sizeBytes; ) {
    const wanted = Math.min(buffer.length, sizeBytes - position);
    const { bytesRead } = await file.read(buffer, 0, wanted, position);
    if (bytesRead === 0) break;
    digester.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  return digester;
}
