/**
 * HTTP edges shared by servers and clients: route table, Go's query rules, bounded bodies, NDJSON, hijacked connections, WebSockets, Docker's stream multiplexing
 * and detach keys, listeners on UNIX and TCP sockets, and the client half. Knows no resource of any API. Imports errdefs, streams, log, concurrency, sys.
 */
export { acceptedType } from './accept.ts';
export { readBody, requestBody } from './body.ts';
export {
  type ClientRequestOptions,
  type ClientResponse,
  type HijackedResponse,
  HttpClient,
} from './client.ts';
export { Connection, isDisconnect, wentAway } from './connection.ts';
export { parseDetachKeys, untilDetached } from './detach-keys.ts';
export { type ClientTls, type Endpoint, parseHost } from './endpoint.ts';
export { type FileAnswer, FileSender } from './file-sender.ts';
export { hasGroup, type ListenAddress, type Listener, listen, requireFreeAddress } from './listen.ts';
export { NdjsonWriter, readLines, readNdjson, writeWithPressure } from './ndjson.ts';
export { formatQuery, parseBool, parseInteger, Query } from './query.ts';
export { type Method, parseTarget, type Route, type RouteMatch, RouteTable, type Target } from './route-table.ts';
export type { Exchange, ExchangeHandler, ServerOptions, ServerTls } from './server.ts';
export { decodeFrames, encodeFrame, type Frame, type StreamName } from './stdcopy.ts';
export { answerHandshake, WebSocketConnection } from './websocket.ts';
