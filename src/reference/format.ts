import type { Reference } from './types.ts';

/** `docker.io/library/busybox`. */
export function fullName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** `docker.io/library/busybox:latest@sha256:…`, with what there is. `parseReference` reads it back. */
export function formatReference(reference: Reference): string {
  return fullName(reference) + suffix(reference);
}

/** As users write it: `busybox`, `user/app`, `example.com/app`. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== 'docker.io') return fullName(reference);
  const rest = reference.path.startsWith('library/') ? reference.path.slice('library/'.length) : reference.path;
  return rest.includes('/') ? reference.path : rest;
}

/** `busybox:latest`, `busybox@sha256:…`. */
export function familiarString(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}
