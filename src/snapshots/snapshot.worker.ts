import { parentPort } from 'node:worker_threads';
import { kindOf, messageOf } from '#errdefs';
import { AbortFlag } from './abort-flag.ts';
import { runJob } from './jobs.ts';
import type { JobReply, JobRequest } from './protocol.ts';

/** One job at a time; what it throws travels as a kind and a message. */
parentPort!.on('message', ({ job, abort }: JobRequest) => {
  parentPort!.postMessage(answer({ job, abort }));
});

function answer({ job, abort }: JobRequest): JobReply {
  try {
    return { ok: true, result: runJob(job, new AbortFlag(abort)) };
  } catch (error) {
    return { ok: false, kind: kindOf(error), message: messageOf(error) };
  }
}
