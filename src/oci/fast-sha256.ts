import { createRequire } from 'node:module';
import { addonPath } from '#sys';

/** `native/sha256.c`: streams are memory of `stateBytes` bytes. */
export interface FastSha256 {
  /** On another processor it would not run. */
  readonly isFaster: boolean;
  readonly stateBytes: number;
  begin(state: Uint8Array): void;
  append(state: Uint8Array, bytes: Uint8Array): void;
  appendBoth(first: Uint8Array, firstBytes: Uint8Array, second: Uint8Array, secondBytes: Uint8Array): void;
  /** Fills `digest`, 32 bytes. The state is spent. */
  finish(state: Uint8Array, digest: Uint8Array): void;
}

let found: { readonly addon: FastSha256 | undefined } | undefined;

/** `undefined` where OpenSSL is faster, or the addon is not built. */
export function fastSha256(): FastSha256 | undefined {
  found ??= { addon: load() };
  return found.addon;
}

function load(): FastSha256 | undefined {
  const path = addonPath('sha256');
  const addon = path === undefined ? undefined : (createRequire(import.meta.url)(path) as FastSha256);
  return addon?.isFaster ? addon : undefined;
}
