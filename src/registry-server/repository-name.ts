import { isValid, parseReference } from '#reference';
import { ApiError } from './api-error.ts';

/** @throws ApiError `NAME_INVALID` for what distribution-spec v1.1 §pulling-manifests does not call a name. */
export function requireName(name: string): void {
  const full = `registry.invalid/${name}`;
  if (!isValid(full) || parseReference(full).path !== name) {
    throw new ApiError('NAME_INVALID', 'invalid repository name', { detail: name });
  }
}
