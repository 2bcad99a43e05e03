import { DaemonError } from '#client';
import { messageOf } from '#errdefs';

/** What a user is told: the daemon's refusals are said to be the daemon's, the client's own failures are not. */
export function errorText(error: unknown): string {
  return error instanceof DaemonError ? `Error response from daemon: ${error.message}` : messageOf(error);
}
