import type { WireError } from './database-errors.ts';
import type { WriteName } from './writes/index.ts';

export interface WriteRequest {
  readonly kind: 'write';
  readonly id: number;
  readonly name: WriteName;
  readonly input: unknown;
  /** False: a power cut may lose it, a crash may not. */
  readonly durable: boolean;
}

export type ToDatabase = WriteRequest | { readonly kind: 'close' };

export interface WriteAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: WireError;
}

export type FromDatabase =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'answers'; readonly answers: readonly WriteAnswer[] };
