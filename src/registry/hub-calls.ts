import { answerError } from './answers.ts';
import { basicHeader, basicOf } from './credentials.ts';
import { RegistryError } from './errors.ts';
import type { Host } from './hosts.ts';
import { withRetries } from './retry.ts';
import type { Session } from './session.ts';
import type { CallOptions, HubRequest, RetryOptions } from './types.ts';

const maxAnswerBytes = 16 << 20;

/** A call of what Wherry's registry has beyond the specification; the answer's JSON, or undefined where there is none. */
export async function callHub(
  session: Session,
  parts: { host: Host; retry: RetryOptions | undefined },
  request: HubRequest,
  options: CallOptions,
): Promise<unknown> {
  const endpoint = await session.endpoint(parts.host, options.signal);
  const url = new URL(`/wherry/registry/${request.path}`, endpoint.origin);
  for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
  const basic = basicOf(options.auth);
  const headers = {
    ...parts.host.headers,
    ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...(basic ? { authorization: basicHeader(basic) } : {}),
  };
  const body = request.json === undefined ? {} : { body: JSON.stringify(request.json) };
  return await withRetries(
    async () => {
      const answer = await session.send(
        { method: request.method, url, headers, ...body, signal: options.signal },
        endpoint,
      );
      if (answer.status >= 300) {
        const error = await answerError(answer);
        error.asked ??= { host: parts.host.name, scopes: [] };
        throw error;
      }
      return decode(await answer.bytes(maxAnswerBytes, 'answer'));
    },
    { retry: parts.retry, signal: options.signal },
  );
}

function decode(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new RegistryError('unknown', 'the registry answers something else: it is not one of Wherry', { cause });
  }
}
