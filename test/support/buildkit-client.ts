/** A client of BuildKit's protocol, with a folder of its own making: what buildx does, without buildx. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, type ConnectRouter, createClient } from '@connectrpc/connect';
import { GrpcPeer, GrpcServer } from '#grpc';
import { Control } from '../../src/buildkit/proto/control_pb.ts';
import { LLBBridge } from '../../src/buildkit/proto/gateway_pb.ts';

/** A connection that has left HTTP/1. */
export function upgraded(
  socketPath: string,
  path: string,
  headers: Record<string, string | string[]> = {},
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const asking = request({
      socketPath,
      path,
      method: 'POST',
      headers: { Connection: 'Upgrade', Upgrade: 'h2c', ...headers },
    });
    asking.once('upgrade', (_answer, socket, head) => {
      if (head.byteLength > 0) socket.unshift(head);
      resolve(socket);
    });
    asking.once('response', (answer) => reject(new Error(`${path}: ${answer.statusCode}`)));
    asking.once('error', reject);
    asking.end();
  });
}

export interface Wish {
  readonly exporters?: readonly { type: string; attributes: Record<string, string> }[];
  readonly attributes?: Record<string, string>;
  readonly signal?: AbortSignal;
  /** What the build is called; others may ask for it by that. */
  readonly ref?: string;
}

export class BuildKitClient implements AsyncDisposable {
  readonly control: Client<typeof Control>;
  readonly gateway: Client<typeof LLBBridge>;
  readonly #socketPath: string;
  readonly #peer: GrpcPeer;
  readonly #servers: GrpcServer[] = [];

  private constructor(socketPath: string, peer: GrpcPeer) {
    this.#socketPath = socketPath;
    this.#peer = peer;
    this.control = createClient(Control, peer.transport);
    this.gateway = createClient(LLBBridge, peer.transport);
  }

  static async connect(host: string): Promise<BuildKitClient> {
    const path = host.replace(/^unix:\/\//, '');
    return new BuildKitClient(path, new GrpcPeer(await upgraded(path, '/grpc')));
  }

  /** Serves on a connection of its own; answers the session's ID. */
  async serve(
    services: readonly DescService[],
    routes: (router: ConnectRouter) => void,
    { sharedKey = '' }: { sharedKey?: string } = {},
  ): Promise<string> {
    const id = randomBytes(12).toString('hex');
    const methods = services.flatMap((service) => service.methods.map(({ name }) => `/${service.typeName}/${name}`));
    const socket = await upgraded(this.#socketPath, '/session', {
      'X-Docker-Expose-Session-Uuid': id,
      'X-Docker-Expose-Session-Sharedkey': sharedKey,
      'X-Docker-Expose-Session-Grpc-Method': methods,
    });
    const server = new GrpcServer(routes);
    this.#servers.push(server);
    void server.serve(socket);
    return id;
  }

  /** As buildx: one call that waits for the end, and within it the frontend's, then the choice of its result. */
  async build(
    session: string,
    { exporters = [], attributes = {}, signal, ref = randomBytes(12).toString('hex') }: Wish = {},
  ): Promise<Record<string, string>> {
    const how = { headers: { 'buildkit-controlapi-buildid': ref }, ...(signal ? { signal } : {}) };
    const ended = this.control.solve({ ref, session, exporters: [...exporters] }, signal ? { signal } : {});
    ended.catch(() => {});
    await this.gateway.ping({}, how);
    try {
      const { result } = await this.gateway.solve(
        { frontend: 'dockerfile.v0', frontendOptions: attributes, allowResultReturn: true },
        how,
      );
      await this.gateway.return(result ? { result } : {}, how);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await this.gateway.return({ error: { code: 2, message } }, how);
    }
    return (await ended).exporterResponse;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server[Symbol.dispose]();
    this.#peer.close();
    await this.#peer.closed;
  }
}
