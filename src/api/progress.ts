import type { ProgressMessage } from '#api-types';
import { ExitError, kindOf, messageOf } from '#errdefs';
import { log } from '#log';
import type { Call } from './call.ts';

/**
 * A stream of progress lines. As dockerd: a failure before the first line is a status, a later one a line of its own; `always200` is for load, whose headers
 * are out before it looks at the archive.
 */
export async function streamProgress(
  call: Call,
  messages: AsyncIterable<ProgressMessage>,
  options: { always200?: boolean } = {},
): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    if (options.always200) call.start('application/json');
    for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
      if (!call.answered) call.start('application/json');
      await call.write(progressLine(step.value));
    }
    if (!call.answered) call.start('application/json');
  } catch (error) {
    if (!call.answered || call.signal.aborted) throw error;
    if (kindOf(error) === 'unknown') log.debug('progress stream failed', { error: messageOf(error) });
    await call.write(progressLine(errorMessage(error)));
  } finally {
    await iterator.return?.();
  }
  call.end();
}

function errorMessage(error: unknown): ProgressMessage {
  const message = messageOf(error);
  const detail = error instanceof ExitError ? { code: error.code, message } : { message };
  return { errorDetail: detail, error: message };
}

/** The fields of Go's struct in its order, and behind them this engine's own. */
const fieldOrder = [
  'stream',
  'status',
  'progressDetail',
  'progress',
  'id',
  'errorDetail',
  'error',
  'aux',
  'fault',
  'warnings',
  'explain',
  'plan',
  'rebuild',
  'wanted',
] as const satisfies readonly (keyof ProgressMessage)[];

/** With Go's HTML-safe escapes and line end. */
export function progressLine(message: ProgressMessage): string {
  return `${htmlSafeJson(Object.fromEntries(fieldOrder.map((field) => [field, message[field]])))}\r\n`;
}

/** JSON as Go's `json.Marshal` writes it, which streams of progress and events use. */
export function htmlSafeJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
