import type { ImageIdentity } from '#api-types';
import type { ImageRecord } from '#metadata';
import { fullName, parseReference } from '#reference';

/** The repositories an image is known to be in, by a pull or a push; nothing when there is none. */
export function identityField({ repoDigests }: Pick<ImageRecord, 'repoDigests'>): {
  readonly Identity?: ImageIdentity;
} {
  const repositories = new Set(repoDigests.map((name) => fullName(parseReference(name))));
  if (repositories.size === 0) return {};
  return { Identity: { Pull: [...repositories].map((Repository) => ({ Repository })) } };
}
