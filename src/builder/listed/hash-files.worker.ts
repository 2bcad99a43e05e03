/** The thread behind `FileHashes`: hashes the files of a context while they arrive. */
import { closeSync, openSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '#errdefs';
import { hashFiles } from './hash-files.ts';
import type { HashFinding, HashRequest } from './hash-protocol.ts';

const port = parentPort;
if (!port) throw new Error('hash-files.worker.ts is a worker thread');

/** Told at once: what is told takes the main thread's time, and a build that fails loses what was not. */
const batchFiles = 256;

port.on('message', (request: HashRequest) => {
  let fault: string | undefined;
  try {
    hash(request);
  } catch (error) {
    fault = messageOf(error);
  }
  send({ fault });
});

function send(finding: HashFinding): void {
  port!.postMessage(finding);
}

function hash(request: HashRequest): void {
  const fd = openSync(request.path, 'r');
  let digests: string[] = [];
  try {
    for (const digest of hashFiles(fd, request)) {
      digests.push(digest);
      if (digests.length < batchFiles) continue;
      send({ digests });
      digests = [];
    }
  } finally {
    closeSync(fd);
    send({ digests });
  }
}
