import type { ProgressMessage } from '#transfer';

/** What a step tells while it runs; progress/ words it. */
export type StepReport =
  | { readonly kind: 'container'; readonly id: string }
  | { readonly kind: 'removed'; readonly id: string }
  /** Its container stays. */
  | { readonly kind: 'kept'; readonly id: string }
  /** How long the command ran, from its start to its end. */
  | { readonly kind: 'command'; readonly durationMs: number }
  | { readonly kind: 'progress'; readonly message: ProgressMessage }
  | { readonly kind: 'output'; readonly stream: 'stdout' | 'stderr'; readonly data: Buffer };
