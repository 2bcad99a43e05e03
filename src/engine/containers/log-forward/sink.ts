import type { LogMessage } from '#runtime';

/** Where a container's messages are sent on to. After a failed send a new one is needed. */
export interface LogSink {
  send(message: LogMessage): Promise<void>;
  close(): void;
}
