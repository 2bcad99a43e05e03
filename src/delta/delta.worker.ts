import { parentPort, type Transferable, workerData } from 'node:worker_threads';
import { kindOf, messageOf } from '#errdefs';
import { diffLayers } from './differ.ts';
import { applyPiece, PatchBases } from './patch.ts';
import type { DeltaJob, DeltaReply, DeltaRequest } from './protocol.ts';

const job = workerData as DeltaJob;
const answer = job.kind === 'diff' ? nextPiece(diffLayers(job.bases, job.layers)) : patched(new PatchBases(job.bases));

parentPort!.on('message', (request: DeltaRequest) => {
  try {
    const reply = answer(request);
    parentPort!.postMessage(reply, buffersOf(reply));
  } catch (error) {
    parentPort!.postMessage({ failed: kindOf(error), message: messageOf(error) } satisfies DeltaReply);
  }
});

function nextPiece(pieces: ReturnType<typeof diffLayers>): (request: DeltaRequest) => DeltaReply {
  return () => {
    const { value, done } = pieces.next();
    // In a buffer of its own, which changes hands.
    return { piece: done ? undefined : { layer: value.layer, bytes: new Uint8Array(value.bytes) } };
  };
}

function patched(bases: PatchBases): (request: DeltaRequest) => DeltaReply {
  return (request) => ({ run: applyPiece(request as Uint8Array, bases) });
}

function buffersOf(reply: DeltaReply): Transferable[] {
  if ('piece' in reply) return reply.piece ? [reply.piece.bytes.buffer as ArrayBuffer] : [];
  return 'run' in reply ? reply.run.parts.map(({ buffer }) => buffer as ArrayBuffer) : [];
}
