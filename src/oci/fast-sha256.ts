import { loadAddon } from '#sys';

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
  if (found === undefined) {
    const addon = loadAddon<FastSha256>('sha256');
    found = { addon: addon?.isFaster ? addon : undefined };
  }
  return found.addon;
}
