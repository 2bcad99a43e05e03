/**
 * Wherry as a library: Docker's engine in this process, or the same interface over a daemon's socket.
 *
 * @example
 * await using engine = await Engine.open({ root: '/var/lib/my-app' });
 * for await (const line of engine.images.pull('busybox')) console.log(line.status);
 */
import type { Engine as EngineInterface } from '#api-types';
import { type ConnectOptions, connect } from '#client';
import { type EngineOptions, openEngine } from '#engine';

export type Engine = EngineInterface;

export const Engine = {
  /** Opens a data root in this process. @throws `conflict` naming the socket when a daemon or another engine owns it. */
  open: (options: EngineOptions): Promise<EngineInterface> => openEngine(options),
  /** The engine behind `unix:///path` or `tcp://host:port`; nothing is sent until the first call. */
  connect: (host: string, options?: ConnectOptions): EngineInterface => connect(host, options),
};

export type * from '#api-types';
export { EngineError, type ErrorKind, ExitError, isKind, kindOf } from '#errdefs';
export { createRegistryClient } from '#registry';
export { serveRegistry } from '#registry-server';
export { copyPlaces, deleteRemote, inspectRemote, listTags, searchRemote } from '#remote';
export type { ConnectOptions, EngineOptions };
