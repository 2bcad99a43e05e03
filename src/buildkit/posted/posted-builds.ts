import { randomBytes } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import type { BuildOptions, PostedBuild, ProgressMessage } from '#api-types';
import { failureText } from '#builder';
import { EngineError, kindOf } from '#errdefs';
import { familiarString, parseReference, withDefaultTag } from '#reference';
import type { RunningBuilds } from '../control/running-builds.ts';
import { SolveRequestSchema, StatusResponseSchema } from '../proto/control_pb.ts';
import type { StatusUpdate } from '../status/feed.ts';
import type { BuildKitHost } from '../types.ts';
import { attributesOf } from './posted-attributes.ts';

/** Where clients say that the context is a folder of their session. */
const ofSession = 'client-session';
/** What frontends are told where it is the body of the call. */
const ofBody = 'http://buildkit-session/body';

/** Builds that come by `POST /build?version=2`: BuildKit's, with its progress inside a classic stream of messages. */
export class PostedBuilds {
  readonly #host: BuildKitHost;
  readonly #builds: RunningBuilds;
  /** By the IDs that their clients made up. */
  readonly #running = new Map<string, AbortController>();

  constructor(host: BuildKitHost, builds: RunningBuilds) {
    this.#host = host;
    this.#builds = builds;
  }

  /** As dockerd answers: `moby.buildkit.trace` carries a StatusResponse each, `moby.image.id` the result. */
  async *build({ body, options, session, buildID, signal }: PostedBuild): AsyncGenerator<ProgressMessage> {
    const abort = new AbortController();
    if (buildID) this.#running.set(buildID, abort);
    const both = AbortSignal.any([abort.signal, ...(signal ? [signal] : [])]);
    try {
      yield* this.#run({ body, options, session: session ?? '' }, both);
    } catch (error) {
      if (abort.signal.aborted) throw new EngineError('canceled', 'context canceled', { cause: error });
      throw new EngineError(kindOf(error), failureText(error), { cause: error });
    } finally {
      if (buildID) this.#running.delete(buildID);
    }
  }

  /** Absent is fine. */
  cancel(buildID: string): void {
    this.#running.get(buildID)?.abort();
  }

  async *#run(
    { body, options, session }: Pick<PostedBuild, 'body' | 'options'> & { readonly session: string },
    signal: AbortSignal,
  ): AsyncGenerator<ProgressMessage> {
    const ref = randomBytes(16).toString('hex');
    const remote = options.remote === ofSession ? undefined : (options.remote ?? ofBody);
    const request = create(SolveRequestSchema, {
      ref,
      session,
      frontend: 'dockerfile.v0',
      frontendAttributes: attributesOf(options, remote, this.#host.hostGateway),
      exporters: [{ type: 'moby', attributes: namesOf(options) }],
    });
    const posted = { body, auths: options.auths ?? {} };
    const answer = this.#builds.run(request, { signal, posted });
    // Told below; meanwhile a build that fails early must not be nobody's.
    answer.catch(() => {});
    const { feed } = await this.#builds.get(ref, { signal });
    for await (const update of feed.follow({ signal })) if (!options.q) yield traceOf(update);
    const id = (await answer)['containerimage.digest'];
    if (id === undefined) throw new EngineError('unknown', 'missing image id');
    yield options.q ? { stream: `${id}\n` } : { id: 'moby.image.id', aux: { ID: id } };
  }
}

function namesOf({ t = [] }: BuildOptions): Record<string, string> {
  const names = t.map((name) => familiarString(withDefaultTag(parseReference(name))));
  return names.length > 0 ? { name: names.join(',') } : {};
}

function traceOf(update: StatusUpdate): ProgressMessage {
  const bytes = toBinary(StatusResponseSchema, create(StatusResponseSchema, update));
  return { id: 'moby.buildkit.trace', aux: Buffer.from(bytes).toString('base64') };
}
