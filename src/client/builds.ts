import type { BuildOptions, CallOptions, ListedContext, ProgressMessage, WantedFiles } from '#api-types';
import { decodeRanges } from '#context-listing';
import { isKind, messageOf } from '#errdefs';
import { buildQuery } from './containers.ts';
import { type CallSpec, DaemonError, type Transport } from './transport.ts';

type Options = BuildOptions & CallOptions;

export function runBuild(
  transport: Transport,
  context: AsyncIterable<Uint8Array>,
  options: Options,
): AsyncGenerator<ProgressMessage> {
  const spec = buildSpec(options, 'application/x-tar');
  return transport.lines<ProgressMessage>('POST', '/build', { ...spec, body: context });
}

/** Sends the contents that the daemon asks for while the build runs. A daemon that knows no listings gets the context as a tar. */
export async function* runListedBuild(
  transport: Transport,
  context: ListedContext,
  options: Options,
): AsyncGenerator<ProgressMessage> {
  const sending = new Sending(transport, context, options.signal);
  try {
    const spec = buildSpec({ ...options, signal: sending.signal }, 'application/x-ndjson');
    const lines = transport.lines<ProgressMessage>('POST', '/wherry/v1/build', { ...spec, body: context.listing });
    for await (const message of lines) {
      if (message.wanted) sending.start(message.wanted);
      else yield message;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!knowsNoListings(error) || !context.tar) throw sending.failure ?? error;
    yield* runBuild(transport, context.tar(), options);
  } finally {
    await sending.end();
  }
}

function buildSpec(options: Options, type: string): CallSpec {
  const auths = options.auths
    ? { 'X-Registry-Config': Buffer.from(JSON.stringify(options.auths)).toString('base64url') }
    : {};
  return { query: buildQuery(options), headers: { 'Content-Type': type, ...auths }, signal: options.signal };
}

/** The words of a server that has no such path, as dockerd's are. */
function knowsNoListings(error: unknown): boolean {
  return error instanceof DaemonError && isKind(error, 'not-found') && messageOf(error) === 'page not found';
}

/** The contents on their way. One that cannot be read breaks the build off. */
class Sending {
  readonly #transport: Transport;
  readonly #context: ListedContext;
  readonly #abort = new AbortController();
  readonly signal: AbortSignal;
  readonly #running = new Set<Promise<void>>();
  failure: unknown;

  constructor(transport: Transport, context: ListedContext, signal: AbortSignal | undefined) {
    this.#transport = transport;
    this.#context = context;
    this.signal = signal ? AbortSignal.any([signal, this.#abort.signal]) : this.#abort.signal;
  }

  start(wanted: WantedFiles): void {
    const running = this.#send(wanted).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Nothing is read any more when it returns. */
  async end(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#running);
  }

  async #send({ id, entries }: WantedFiles): Promise<void> {
    const { signal } = this;
    try {
      const numbers = decodeRanges(entries);
      const body = this.#context.send(numbers, { report: () => {}, signal });
      await this.#transport.call('POST', `/wherry/v1/build/files/${encodeURIComponent(id)}`, { body, signal });
    } catch (error) {
      // What the daemon refuses, or that it is gone, is told by the answer to the build.
      if (signal.aborted || error instanceof DaemonError || isKind(error, 'canceled') || isKind(error, 'unavailable'))
        return;
      this.failure ??= error;
      this.#abort.abort(error);
    }
  }
}
