/**
 * gRPC over a connection that is there already, in both directions: an HTTP/1 connection that was upgraded to `h2c`. A {@link GrpcServer} serves on one;
 * a {@link GrpcPeer} calls whoever serves at its other end. Everything else imports it lazily: its libraries are not small. Imports errdefs.
 */
export { GrpcPeer, type MessageReader, type PeerStream } from './peer.ts';
export { GrpcServer } from './server.ts';
