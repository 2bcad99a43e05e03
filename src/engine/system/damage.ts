import type { Digest } from '#oci';
import type { EngineContext } from '../context.ts';

const setting = 'damaged-blobs';

/** So that the next process knows as well: what is known to be damaged is replaced by the next pull, load or build that brings it. */
export async function rememberDamage({
  content,
  metadata,
}: Pick<EngineContext, 'content' | 'metadata'>): Promise<void> {
  const damaged = content.distrusted().join(' ');
  if (damaged !== (metadata.setting(setting) ?? '')) await metadata.setSetting(setting, damaged);
}

export function recallDamage({ content, metadata }: Pick<EngineContext, 'content' | 'metadata'>): void {
  for (const digest of (metadata.setting(setting) ?? '').split(' ').filter(Boolean)) content.distrust(digest as Digest);
}
