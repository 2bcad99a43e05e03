/**
 * Image references as Docker's clients write them (distribution/reference grammar). No I/O. Imports errdefs, oci.
 *
 * `parseReference('busybox')` is `docker.io/library/busybox` with no tag; `withDefaultTag` adds `latest`.
 */
export { familiarName, familiarString, formatReference, fullName } from './format.ts';
export {
  type AnyReference,
  isReference,
  isReference as isValid,
  isTag,
  parseAnyReference,
  parseReference,
  trimNamed,
  withDefaultTag,
  withDigest,
  withTag,
} from './parse.ts';
export * from './types.ts';
