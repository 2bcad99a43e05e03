import type { Duplex } from 'node:stream';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { HandedOver } from '#builder';
import { EngineError } from '#errdefs';
import type { PeerStream } from '#grpc';
import { Secrets } from '../proto/secrets_pb.ts';
import { BytesMessageSchema, SSH } from '../proto/ssh_pb.ts';
import type { ClientSession } from './client-session.ts';

/** Secrets and SSH agents of a client. */
export function handedOverBy(session: ClientSession): HandedOver {
  return {
    async secret(id, { signal }) {
      if (!session.serves(Secrets, 'GetSecret')) return undefined;
      try {
        return (await session.client(Secrets).getSecret({ id }, { signal })).data;
      } catch (error) {
        signal.throwIfAborted();
        if (isAbsent(error)) return undefined;
        throw new EngineError('unknown', `secret ${id}: ${ConnectError.from(error).rawMessage}`, { cause: error });
      }
    },
    async requireAgent(id, { signal }) {
      if (!session.serves(SSH, 'CheckAgent')) throw noAgent(id);
      try {
        await session.client(SSH).checkAgent({ id }, { signal });
      } catch (error) {
        signal.throwIfAborted();
        if (isAbsent(error)) throw noAgent(id);
        throw new EngineError('unknown', ConnectError.from(error).rawMessage, { cause: error });
      }
    },
    async connectAgent(id, socket, { signal }) {
      using stream = session.peer.open('/moby.sshforward.v1.SSH/ForwardAgent', { 'buildkit.ssh.id': id }, signal);
      await Promise.all([fromSocket(socket, stream), fromAgent(stream, socket)]);
    },
  };
}

/** Where there is no client to ask. */
export const nothingHandedOver: HandedOver = {
  secret: async () => undefined,
  requireAgent: async (id) => {
    throw noAgent(id);
  },
  connectAgent: async (id) => {
    throw noAgent(id);
  },
};

async function fromSocket(socket: Duplex, stream: PeerStream): Promise<void> {
  for await (const data of socket as AsyncIterable<Buffer>) {
    await stream.send(toBinary(BytesMessageSchema, create(BytesMessageSchema, { data })));
  }
  stream.end();
}

async function fromAgent(stream: PeerStream, socket: Duplex): Promise<void> {
  for await (const message of stream.messages()) {
    const { data } = fromBinary(BytesMessageSchema, message);
    if (!socket.write(Buffer.from(data))) await drained(socket);
  }
  socket.end();
}

async function drained(socket: Duplex): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.once('drain', resolve);
    socket.once('close', () => resolve());
  });
}

function isAbsent(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.NotFound || code === Code.Unimplemented;
}

function noAgent(id: string): EngineError {
  return new EngineError('not-found', `no SSH key ${JSON.stringify(id)} forwarded from the client`);
}
