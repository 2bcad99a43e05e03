import type { TransferStores } from './types.ts';

/** What the daemon's configuration says of tries. */
export function attemptsOf({ maxDownloadAttempts }: Pick<TransferStores, 'maxDownloadAttempts'>): {
  attempts?: number;
} {
  return maxDownloadAttempts === undefined ? {} : { attempts: maxDownloadAttempts };
}
