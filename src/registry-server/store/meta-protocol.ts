import type { ErrorKind } from '#errdefs';
import type { SqlValue } from './database.ts';

/** One statement of a transaction. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly SqlValue[];
  /** The transaction fails with `failed-precondition` unless so many rows change. */
  readonly want?: number;
}

export interface Transaction {
  readonly id: number;
  readonly statements: readonly Statement[];
  /** False: a power cut may lose it, a crash may not. */
  readonly durable: boolean;
}

export type ToWriter = { readonly kind: 'write'; readonly transaction: Transaction } | { readonly kind: 'close' };

export interface Outcome {
  readonly id: number;
  /** Rows changed, per statement. */
  readonly changes?: readonly number[];
  readonly error?: WireError;
}

export interface WireError {
  readonly kind: ErrorKind;
  readonly message: string;
}

export type FromWriter =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'outcomes'; readonly outcomes: readonly Outcome[] };
