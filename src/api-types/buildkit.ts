import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { BuildOptions } from './build.ts';
import type { ProgressMessage } from './common.ts';

/** A build by BuildKit that comes with one call (`POST /build?version=2`). */
export interface PostedBuild {
  /** A tar, read where there is neither a session nor a `remote`. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly options: BuildOptions;
  /** ID of the client's session, which has secrets and, with the `remote` `client-session`, the context. */
  readonly session?: string;
  /** By which it can be cancelled. */
  readonly buildID?: string;
  readonly signal?: AbortSignal;
}

/** Where clients that bring BuildKit's protocol come in (docs/buildkit.md). The connections have left HTTP/1 and are the engine's from here on. */
export interface BuildKitDoors {
  /** Serves BuildKit's gRPC services, until the client goes away. */
  control(socket: Duplex): Promise<void>;
  /**
   * A connection on which the client serves. `headers` are those of its request; `methods` is what it says it serves.
   * @throws `conflict` when its session is there already
   */
  session(socket: Duplex, headers: IncomingHttpHeaders, methods: readonly string[]): Promise<void>;
  /** BuildKit's progress as `moby.buildkit.trace` messages, then the image's ID as `moby.image.id`. */
  build(posted: PostedBuild): AsyncIterable<ProgressMessage>;
  /** Ends a posted build; absent is fine. */
  cancel(buildID: string): Promise<void>;
}
