/** A client of BuildKit's protocol, with a folder of its own making: what buildx does, without buildx. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, ConnectError, type ConnectRouter, createClient } from '@connectrpc/connect';
import { GrpcPeer, GrpcServer } from '#grpc';
import { Control } from '../../src/buildkit/proto/control_pb.ts';
import { LLBBridge, type Result } from '../../src/buildkit/proto/gateway_pb.ts';
import type { Definition } from '../../src/buildkit/proto/ops_pb.ts';

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
  readonly cacheExports?: readonly { type: string; attributes: Record<string, string> }[];
  /** Results of earlier builds, for attributes that name them. */
  readonly inputs?: Record<string, Definition>;
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

  /** The same, the connection being a stream of messages on the one that there is. */
  async tunnel(services: readonly DescService[], routes: (router: ConnectRouter) => void): Promise<string> {
    const id = randomBytes(12).toString('hex');
    const headers = new Headers({ 'X-Docker-Expose-Session-Uuid': id });
    for (const { typeName, methods } of services) {
      for (const { name } of methods) headers.append('X-Docker-Expose-Session-Grpc-Method', `/${typeName}/${name}`);
    }
    const [near, far] = duplexPair();
    const server = new GrpcServer(routes);
    this.#servers.push(server);
    void server.serve(near);
    const sent = (async function* () {
      for await (const data of far as AsyncIterable<Buffer>) yield { data };
    })();
    void (async () => {
      for await (const { data } of this.control.session(sent, { headers })) far.write(data);
    })().catch(() => far.destroy());
    return id;
  }

  /** As buildx: one call that waits for the end, and within it the frontend's, then the choice of its result. */
  async build(session: string, wish: Wish = {}): Promise<Record<string, string>> {
    return (await this.solve(session, wish)).answer;
  }

  /** The same, with what the frontend came to. */
  async solve(session: string, wish: Wish = {}) {
    const {
      exporters = [],
      cacheExports = [],
      attributes = {},
      inputs = {},
      signal,
      ref = randomBytes(12).toString('hex'),
    } = wish;
    const how = { headers: { 'buildkit-controlapi-buildid': ref }, ...(signal ? { signal } : {}) };
    const ended = this.control.solve(
      { ref, session, exporters: [...exporters], cache: { exports: [...cacheExports] } },
      signal ? { signal } : {},
    );
    ended.catch(() => {});
    await this.gateway.ping({}, how);
    let solved: Result | undefined;
    try {
      const frontend = { frontend: 'dockerfile.v0', frontendOptions: attributes, frontendInputs: inputs };
      solved = (await this.gateway.solve({ ...frontend, allowResultReturn: true }, how)).result;
      await this.gateway.return(solved ? { result: solved } : {}, how);
    } catch (error) {
      const { rawMessage: message, code } = ConnectError.from(error);
      await this.gateway.return({ error: { code, message } }, how).catch(() => {});
    }
    return { answer: (await ended).exporterResponse, result: solved };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server[Symbol.dispose]();
    this.#peer.close();
    await this.#peer.closed;
  }
}
