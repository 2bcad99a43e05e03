import { DaemonError } from '#client';
import { messageOf, placeOf, placeText } from '#errdefs';

/** What a user is told: the daemon's refusals are said to be the daemon's, the client's own failures are not. */
export function errorText(error: unknown): string {
  return error instanceof DaemonError ? `Error response from daemon: ${error.message}` : messageOf(error);
}

/** The same, and below it where in a Dockerfile it comes from. */
export function placedText(error: unknown): string {
  const place = placeOf(error);
  return place ? `${errorText(error)}\n\n${placeText(place).trimEnd()}` : errorText(error);
}
