import { randomBytes } from 'node:crypto';
import type { AuthConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { Digest, Platform } from '#oci';
import type { ByteSource } from '#streams';
import { exportCaches, plannedCacheExports } from '../cache/index.ts';
import { plannedExports, runExports } from '../export/index.ts';
import { runFrontend } from '../frontend/index.ts';
import type { SolveRequest } from '../proto/control_pb.ts';
import type { Definition } from '../proto/ops_pb.ts';
import type { ClientSession } from '../session/client-session.ts';
import { credentialsOf } from '../session/credentials.ts';
import type { Sessions } from '../session/sessions.ts';
import { StatusFeed } from '../status/feed.ts';
import { VertexStatus } from '../status/vertex-status.ts';
import type { BuildKitHost } from '../types.ts';
import { requireSupported } from './supported.ts';

export interface BuiltImage {
  readonly id: Digest;
  readonly platform: Platform;
}

/** What a build brings with it that comes by one call, in place of a client that serves. */
export interface PostedFiles {
  /** A tar; read once. */
  readonly body: ByteSource;
  /** By the names of registries. */
  readonly auths: Readonly<Record<string, AuthConfig>>;
}

/** What one call of a frontend came to. */
export interface Solved {
  /** By which the client speaks of it; empty when there is no image. */
  readonly ref: string;
  /** One per platform; none where an answer is all that was wanted. */
  readonly images: readonly BuiltImage[];
  /** They are platforms of one image. */
  readonly isIndex?: boolean;
  /** Answers to subrequests. */
  readonly metadata: Readonly<Record<string, Uint8Array>>;
}

export interface FrontendCall {
  readonly frontend: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Results of other builds, by the names that attributes use. */
  readonly inputs: Readonly<Record<string, Definition>>;
}

/**
 * A build from `Control.Solve` to its answer. Either that call names a frontend, or the client asks for it by `LLBBridge` calls that carry this build's
 * reference, and says by `Return` which result it meant.
 */
export class RunningBuild {
  readonly ref: string;
  readonly request: SolveRequest;
  readonly feed = new StatusFeed();
  readonly status = new VertexStatus(this.feed);
  readonly signal: AbortSignal;
  readonly posted: PostedFiles | undefined;
  readonly #host: BuildKitHost;
  readonly #sessions: Sessions;
  readonly #results = new Map<string, Solved>();
  readonly #held = new DisposableStack();
  readonly #returned = Promise.withResolvers<Solved | undefined>();
  #failure: unknown;
  /** The last one, which is mostly the only one. */
  #call: FrontendCall | undefined;

  constructor(
    request: SolveRequest,
    parts: { host: BuildKitHost; sessions: Sessions; signal: AbortSignal; posted?: PostedFiles },
  ) {
    this.ref = request.ref;
    this.request = request;
    this.signal = parts.signal;
    this.posted = parts.posted;
    this.#host = parts.host;
    this.#sessions = parts.sessions;
    this.#returned.promise.catch(() => {});
    this.signal.addEventListener('abort', () => this.#returned.reject(this.signal.reason), { once: true });
  }

  /** The build's own session, where its files and secrets are, or another one. @throws `not-found` */
  async session(id = this.request.session): Promise<ClientSession> {
    return await this.#sessions.get(id, { signal: this.signal });
  }

  /** The client's, for a registry by the name that images have it under; undefined where it has none. */
  async credentials(registry: string, { signal }: { signal: AbortSignal }): Promise<AuthConfig | undefined> {
    return this.hasSession ? await credentialsOf(await this.session(), registry, { signal }) : undefined;
  }

  /** Whether there is somebody to ask for files, secrets and credentials. */
  get hasSession(): boolean {
    return this.request.session !== '';
  }

  /** To the end; answers what the client is told of the result. */
  async run(): Promise<Record<string, string>> {
    const { frontend, frontendAttributes: attributes, frontendInputs: inputs } = this.request;
    requireSupported(this.request);
    const exports = plannedExports(this.request);
    const cacheExports = plannedCacheExports(this.request);
    try {
      const solved =
        frontend === '' ? await this.#returned.promise : await this.solve({ frontend, attributes, inputs });
      if (solved === undefined) return {};
      const parts = { ...solved, build: this, host: this.#host };
      const answer = await runExports(exports, parts);
      await exportCaches(cacheExports, parts);
      return answer;
    } finally {
      this.#held.dispose();
      this.feed.end();
    }
  }

  /** For those who look at builds from outside. */
  described(): { frontend: string; frontendAttributes: Record<string, string>; exporters: SolveRequest['exporters'] } {
    const { frontend, frontendAttributes: attributes, exporters } = this.request;
    const call = this.#call ?? { frontend, attributes };
    return { frontend: call.frontend, frontendAttributes: { ...call.attributes }, exporters: [...exporters] };
  }

  /** Keeps an image until this build has ended: nothing else may refer to it. */
  hold(image: Digest): void {
    this.#held.use(this.#host.hold(image));
  }

  /** Runs a frontend for this build. */
  async solve(call: FrontendCall): Promise<Solved> {
    this.#call = call;
    try {
      const solved = await runFrontend(this, this.#host, call);
      if (solved.ref !== '') this.#results.set(solved.ref, solved);
      return solved;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Images as what a frontend came to. */
  resultOf(images: readonly BuiltImage[], isIndex: boolean): Solved {
    return { ref: randomBytes(16).toString('hex'), images, isIndex, metadata: {} };
  }

  /** The client has chosen; undefined when it wants nothing made. @throws `not-found` */
  returned(ref: string | undefined): void {
    const solved = ref === undefined ? undefined : this.#results.get(ref);
    if (ref !== undefined && solved === undefined) throw new EngineError('not-found', `no such reference: ${ref}`);
    this.#returned.resolve(solved);
  }

  /** The client has given up, mostly for what a frontend told it: then that is told again, with all that belongs to it. */
  failed(message: string): void {
    this.#returned.reject(this.#failure ?? new EngineError('unknown', message));
  }
}
