import { quote } from '#dockerfile';
import { ExitError, messageOf } from '#errdefs';

/** Why a vertex failed, in BuildKit's words where a command did. */
export function failureText(error: unknown): string {
  if (!(error instanceof ExitError) || error.command === undefined) return messageOf(error);
  return `process ${quote(error.command)} did not complete successfully: exit code: ${error.code}`;
}
