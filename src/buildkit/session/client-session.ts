import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient } from '@connectrpc/connect';
import { GrpcPeer } from '#grpc';

const prefix = 'x-docker-expose-session-';

/** The session that has a folder of this name. */
export type FolderHolder = (folder: string) => Promise<ClientSession>;

/** A client that serves: its files, secrets and credentials, for as long as its connection stands. */
export class ClientSession {
  readonly id: string;
  /** Tells the folder that it builds from others of the same client; empty where it has none. */
  readonly sharedKey: string;
  readonly peer: GrpcPeer;
  readonly #methods: ReadonlySet<string>;

  /** `methods`: what the client says it serves, as `/package.Service/Method`. */
  constructor(socket: Duplex, headers: IncomingHttpHeaders, methods: readonly string[]) {
    this.id = String(headers[`${prefix}uuid`] ?? '');
    this.sharedKey = String(headers[`${prefix}sharedkey`] ?? '');
    this.#methods = new Set(methods.map((method) => method.toLowerCase()));
    this.peer = new GrpcPeer(socket);
  }

  serves(service: DescService, method: string): boolean {
    return this.#methods.has(`/${service.typeName}/${method}`.toLowerCase());
  }

  client<S extends DescService>(service: S): Client<S> {
    return createClient(service, this.peer.transport);
  }
}
