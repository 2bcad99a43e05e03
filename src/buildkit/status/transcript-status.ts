import { createHash } from 'node:crypto';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { messageOf } from '#errdefs';
import type { OnProgress } from '#transfer';
import type { StatusFeed } from './feed.ts';

/** The classic transcript as the log of one vertex. */
export function transcriptStatus(feed: StatusFeed, ref: string): { report: OnProgress; end(error?: unknown): void } {
  const vertex = { digest: `sha256:${createHash('sha256').update(ref).digest('hex')}`, name: 'build' };
  const started = timestampNow();
  feed.publish({ vertexes: [{ ...vertex, started }] });
  return {
    report(message) {
      if (message.stream === undefined) return;
      const log = {
        vertex: vertex.digest,
        timestamp: timestampNow(),
        stream: 1n,
        message: Buffer.from(message.stream),
      };
      feed.publish({ logs: [log] });
    },
    end(error) {
      const failed = error === undefined ? {} : { error: messageOf(error) };
      feed.publish({ vertexes: [{ ...vertex, started, completed: timestampNow(), ...failed }] });
    },
  };
}
