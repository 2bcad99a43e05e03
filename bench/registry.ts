/** The registry that push and pull are measured against: our own server in a process of its own, or one somebody else runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface BenchRegistry extends AsyncDisposable {
  /** `HOST:PORT`. */
  readonly address: string;
  /** Forgets every image, so that a push finds nothing there. False when that is not ours to do. */
  wipe(): Promise<boolean>;
}

export function externalRegistry(address: string): BenchRegistry {
  return { address, wipe: () => Promise.resolve(false), [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Serves `root` on a free port of the loopback in this network namespace or the one whose path is given. */
export async function startRegistry(root: string, networkNamespace: string | undefined): Promise<BenchRegistry> {
  let running = await start(root, '127.0.0.1:0', networkNamespace);
  const { address } = running;
  return {
    address,
    async wipe() {
      await stop(running.child);
      await rm(root, { recursive: true, force: true });
      running = await start(root, address, networkNamespace);
      return true;
    },
    [Symbol.asyncDispose]: () => stop(running.child),
  };
}

async function start(root: string, address: string, networkNamespace: string | undefined) {
  const command = [process.execPath, join(import.meta.dirname, 'registry-process.ts'), root, address];
  const inside = networkNamespace === undefined ? command : ['nsenter', `--net=${networkNamespace}`, ...command];
  const child = spawn(inside[0]!, inside.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) return { child, address: line };
  throw new Error('the registry did not start');
}

/** It ends with its input. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin?.end();
  await exited;
}
