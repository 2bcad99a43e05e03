/** Compares passwords with bcrypt hashes, which takes long by design, away from the thread that serves. */
import { parentPort } from 'node:worker_threads';
import bcrypt from 'bcryptjs';

export interface Question {
  readonly id: number;
  readonly password: string;
  readonly hash: string;
}

parentPort!.on('message', ({ id, password, hash }: Question) => {
  parentPort!.postMessage({ id, isRight: bcrypt.compareSync(password, hash) });
});
