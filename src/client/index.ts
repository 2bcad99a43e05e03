/**
 * The `Engine` interface over a daemon's socket: every call one request of the Engine API. Knows only api-types and http; what the
 * in-process engine answers, this answers too. Imports errdefs, streams, api-types, http.
 */
export { type ConnectOptions, connect } from './connect.ts';
export { DaemonError, InBandError } from './transport.ts';
