import type { LogMessage } from '#runtime';

/** Where a container's messages are sent on to. After a failed send a new one is needed. */
export interface LogSink {
  /** So many messages at most are sent as one: more than one where the kernel takes them all or none of them. */
  readonly batch: number;
  /** Nothing when the kernel has them already; else resolves when it has. */
  send(messages: readonly LogMessage[]): Promise<void> | undefined;
  close(): void;
}
