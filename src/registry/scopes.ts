import type { Reference } from '#reference';

/** Docker token specification §requesting-a-token. */
export function pullScope(reference: Pick<Reference, 'path'>): string {
  return `repository:${reference.path}:pull`;
}

export function pushScope(reference: Pick<Reference, 'path'>): string {
  return `repository:${reference.path}:pull,push`;
}

export function deleteScope(reference: Pick<Reference, 'path'>): string {
  return `repository:${reference.path}:pull,delete`;
}
