import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';

/** Where clients that bring BuildKit's protocol come in (docs/buildkit.md). The connections have left HTTP/1 and are the engine's from here on. */
export interface BuildKitDoors {
  /** Serves BuildKit's gRPC services, until the client goes away. */
  control(socket: Duplex): Promise<void>;
  /**
   * A connection on which the client serves. `headers` are those of its request; `methods` is what it says it serves.
   * @throws `conflict` when its session is there already
   */
  session(socket: Duplex, headers: IncomingHttpHeaders, methods: readonly string[]): Promise<void>;
}
