import type { WireError } from './wire-error.ts';

/** Plain values, as threads pass them. */
export interface WriteRequest {
  readonly kind: 'write';
  readonly id: number;
  readonly request: unknown;
  /** False: a power cut may lose it, a crash may not. */
  readonly durable: boolean;
}

export type ToThread = WriteRequest | { readonly kind: 'close' };

export interface WriteAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: WireError;
}

export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'answers'; readonly answers: readonly WriteAnswer[] };
