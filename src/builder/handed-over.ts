import type { Duplex } from 'node:stream';

/** Of a file as the command of a step sees it. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** A file of the machine that is there until it is disposed. */
export interface LentFile extends AsyncDisposable {
  readonly path: string;
}

/** What whoever asked for a build hands over to its steps, and nobody keeps: no layer, no record, no log. */
export interface HandedOver {
  /** Undefined when there is none of that ID. */
  secret(id: string, options: { signal: AbortSignal }): Promise<Uint8Array | undefined>;
  /** @throws EngineError when there is no such agent */
  requireAgent(id: string, options: { signal: AbortSignal }): Promise<void>;
  /** Connects a step with an SSH agent, until one of both ends it. */
  connectAgent(id: string, socket: Duplex, options: { signal: AbortSignal }): Promise<void>;
}
