import { createDigester, type Digest } from '#oci';
import type { ByteSource } from '#streams';

export async function digestOfStream(source: ByteSource): Promise<Digest> {
  const digester = createDigester();
  for await (const chunk of source) digester.update(chunk);
  return digester.digest();
}
