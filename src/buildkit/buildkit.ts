import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { PostedBuild, ProgressMessage } from '#api-types';
import { GrpcServer } from '#grpc';
import { controlService } from './control/control-service.ts';
import { gatewayService } from './control/gateway-service.ts';
import { RunningBuilds } from './control/running-builds.ts';
import { PostedBuilds } from './posted/posted-builds.ts';
import { ClientSession } from './session/client-session.ts';
import { Sessions } from './session/sessions.ts';
import type { BuildKitHost } from './types.ts';

/** Both doors of one engine. Dispose ends what comes through them. */
export class BuildKit implements Disposable {
  readonly #sessions = new Sessions();
  readonly #server: GrpcServer;
  readonly #posted: PostedBuilds;

  constructor(host: BuildKitHost) {
    const builds = new RunningBuilds(host, this.#sessions);
    this.#posted = new PostedBuilds(host, builds);
    this.#server = new GrpcServer((router) => {
      controlService(router, host, { builds, sessions: this.#sessions });
      gatewayService(router, host, builds);
    });
  }

  /** Serves a client until it goes away. */
  async control(socket: Duplex): Promise<void> {
    await this.#server.serve(socket);
  }

  /** Holds a connection for the builds that name its session, until the client goes away. @throws `conflict` when there is one by this ID */
  async session(socket: Duplex, headers: IncomingHttpHeaders, methods: readonly string[]): Promise<void> {
    await this.#sessions.hold(new ClientSession(socket, headers, methods));
  }

  /** Builds what a call brings with it. */
  build(posted: PostedBuild): AsyncIterable<ProgressMessage> {
    return this.#posted.build(posted);
  }

  /** Ends a build by the ID its client gave it; absent is fine. */
  cancel(buildID: string): void {
    this.#posted.cancel(buildID);
  }

  [Symbol.dispose](): void {
    this.#server[Symbol.dispose]();
    this.#sessions[Symbol.dispose]();
  }
}
