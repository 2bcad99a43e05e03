import type { Dispatcher } from 'undici';
import { EngineError } from '#errdefs';
import { networkError } from '#registry';
import { type ByteSource, readAll } from '#streams';

/** A file of the web while it arrives. */
export interface Download {
  /** As the URL or the server calls it; undefined when neither does. */
  readonly name: string | undefined;
  /** Seconds since the epoch, from `Last-Modified`. */
  readonly modifiedSec: number | undefined;
  /** As the server announces it; 0 when it does not. */
  readonly sizeBytes: number;
  /** Without parameters, lower case. */
  readonly contentType: string;
  /** As it was sent; must be read to its end or left. */
  readonly body: ByteSource;
}

const maxRedirects = 10;
const headersTimeoutMs = 60_000;
/** A silent body is a broken one. */
const bodyTimeoutMs = 60_000;
/** What a refusal's page may put into the error. */
const maxRefusalBytes = 8 << 10;

/** `GET` of an HTTP URL, redirects followed. @throws EngineError in dockerd's words */
export async function download(url: string, options: { signal: AbortSignal }): Promise<Download> {
  const parsed = new URL(url);
  const answer = await request(parsed, options.signal);
  if (answer.statusCode >= 400) throw await refusal(url, answer);
  const header = (name: string) => [answer.headers[name] ?? []].flat()[0];
  const modifiedMs = Date.parse(header('last-modified') ?? '');
  return {
    name: nameOf(parsed) ?? dispositionName(header('content-disposition')),
    modifiedSec: Number.isNaN(modifiedMs) ? undefined : Math.floor(modifiedMs / 1000),
    sizeBytes: Number(header('content-length') ?? 0) || 0,
    contentType: (header('content-type') ?? '').split(';')[0]!.trim().toLowerCase(),
    body: bodyOf(parsed, answer, options.signal),
  };
}

async function request(url: URL, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { Agent, interceptors, request: send } = await import('undici');
  const agent = new Agent({ headersTimeout: headersTimeoutMs, bodyTimeout: bodyTimeoutMs });
  try {
    const dispatcher = agent.compose(
      interceptors.redirect({ maxRedirections: maxRedirects, throwOnMaxRedirect: true }),
    );
    const answer = await send(url, { dispatcher, signal });
    answer.body.once('close', () => void agent.close().catch(() => {}));
    return answer;
  } catch (cause) {
    await agent.close();
    signal.throwIfAborted();
    throw networkError('GET', url, cause);
  }
}

async function* bodyOf(url: URL, { body }: Dispatcher.ResponseData, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    signal.throwIfAborted();
    throw networkError('GET', url, cause);
  } finally {
    body.destroy();
  }
}

async function refusal(url: string, { statusCode, statusText, body }: Dispatcher.ResponseData): Promise<EngineError> {
  const page = await readAll(body, maxRefusalBytes, 'page').catch(() => Buffer.alloc(0));
  body.destroy();
  const status = [statusCode, statusText].filter(Boolean).join(' ');
  return new EngineError(
    statusCode === 404 ? 'not-found' : 'unknown',
    `failed to GET ${url} with status ${status}: ${page.toString().trim()}`,
  );
}

/** The last part of the path, decoded. */
function nameOf(url: URL): string | undefined {
  const last = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return last === '' ? undefined : safeName(decode(last));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `filename="…"` of RFC 6266, its last part. */
function dispositionName(header: string | undefined): string | undefined {
  const match = /;\s*filename\s*=\s*(?:"([^"]*)"|([^;\s]+))/i.exec(header ?? '');
  return safeName(match?.[1] ?? match?.[2] ?? '');
}

/** No way into another folder. */
function safeName(text: string): string | undefined {
  const name = text.slice(text.lastIndexOf('/') + 1);
  return name === '' || name === '.' || name === '..' || name.includes('\0') ? undefined : name;
}
