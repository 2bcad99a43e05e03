import { EngineError } from '#errdefs';
import { Arrivals } from '../arrivals.ts';
import type { SolveRequest } from '../proto/control_pb.ts';
import type { Sessions } from '../session/sessions.ts';
import type { BuildKitHost } from '../types.ts';
import { BuildHistory } from './history.ts';
import { type PostedFiles, RunningBuild } from './running-build.ts';

/** Clients ask for the status of a build, and call its gateway, before and after they have begun it. */
const waitMs = 3000;
const keptMs = 5000;

/** Builds by the references their clients made up. */
export class RunningBuilds {
  readonly history = new BuildHistory();
  readonly #host: BuildKitHost;
  readonly #sessions: Sessions;
  readonly #builds = new Arrivals<RunningBuild>(waitMs, (ref) => `no such job ${ref}`);

  constructor(host: BuildKitHost, sessions: Sessions) {
    this.#host = host;
    this.#sessions = sessions;
  }

  /** Builds, and answers what the client is told of the result. @throws `already-exists` */
  async run(
    request: SolveRequest,
    call: { readonly signal: AbortSignal; readonly posted?: PostedFiles },
  ): Promise<Record<string, string>> {
    const { ref } = request;
    if (this.#builds.has(ref)) throw new EngineError('already-exists', `job ID ${ref} exists`);
    const build = new RunningBuild(request, { host: this.#host, sessions: this.#sessions, ...call });
    this.#builds.add(ref, build);
    if (!request.internal) this.history.begin(build);
    try {
      const answer = await build.run();
      this.history.end(build, { answer });
      return answer;
    } catch (error) {
      this.history.end(build, { error });
      throw error;
    } finally {
      setTimeout(() => this.#builds.delete(ref), keptMs).unref();
    }
  }

  /** One that has not ended, or has some seconds ago. @throws `not-found` */
  async get(ref: string, { signal }: { signal: AbortSignal }): Promise<RunningBuild> {
    return await this.#builds.get(ref, signal);
  }
}
