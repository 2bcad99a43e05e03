import { parseChallenges } from './challenge.ts';
import { errorOf, type RegistryError } from './errors.ts';
import { parseRetryAfter } from './retry.ts';
import type { HttpAnswer } from './transport.ts';

const maxErrorBytes = 64 << 10;

/** Reads the body of an unwelcome answer, bounded, and says what it means. */
export async function answerError(answer: HttpAnswer): Promise<RegistryError> {
  const body = await errorBody(answer);
  const bearer = parseChallenges(answer.header('www-authenticate')).find(({ scheme }) => scheme === 'bearer');
  return errorOf({
    status: answer.status,
    statusText: answer.statusText,
    contentType: answer.header('content-type') ?? '',
    body,
    retryAfterMs: parseRetryAfter(answer.header('retry-after')),
    bearerError: bearer?.parameters.get('error'),
  });
}

/** A body that breaks off or never ends does not hide the status. */
async function errorBody(answer: HttpAnswer): Promise<string> {
  try {
    return (await answer.bytes(maxErrorBytes, 'registry error')).toString('utf8');
  } catch {
    return '';
  }
}
