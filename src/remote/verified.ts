import { EngineError } from '#errdefs';
import { createDigester, type Descriptor, digestAlgorithm, digestOf } from '#oci';
import type { ByteSource } from '#streams';

/** The bytes as they pass; the last of them only when all are what the descriptor says. @throws `data-loss`. */
export async function* verified(source: ByteSource, descriptor: Descriptor): AsyncGenerator<Uint8Array> {
  const digester = createDigester(digestAlgorithm(descriptor.digest));
  let sizeBytes = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > descriptor.size) throw wrongSize(descriptor, `more than ${descriptor.size}`);
    digester.update(chunk);
    if (held) yield held;
    held = chunk;
  }
  if (sizeBytes !== descriptor.size) throw wrongSize(descriptor, String(sizeBytes));
  if (digester.digest() !== descriptor.digest)
    throw new EngineError('data-loss', `copy ${descriptor.digest}: its bytes do not have that digest`);
  if (held) yield held;
}

function wrongSize({ digest, size }: Descriptor, actual: string): EngineError {
  return new EngineError('data-loss', `copy ${digest}: it has ${actual} bytes instead of ${size}`);
}

/** A document whole. @throws `data-loss`. */
export function verifiedDocument(bytes: Buffer, { digest }: Descriptor): Buffer {
  if (digestOf(bytes, digestAlgorithm(digest)) === digest) return bytes;
  throw new EngineError('data-loss', `copy ${digest}: its bytes do not have that digest`);
}
