import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { getSystemErrorMap, getSystemErrorName } from 'node:util';
import { EngineError, messageOf } from '#errdefs';
import { helperPath, sys } from '#sys';
import type { Address } from './address.ts';
import { refusalText } from './netlink/index.ts';
import { decodeSockets, type HeldSocket, Program } from './program.ts';

/** A program ended early: `code` is the system's name for the reason, `ENOENT` say. */
export class NetworkError extends EngineError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(code === 'EPERM' ? 'permission-denied' : 'internal', message);
    this.code = code;
  }
}

interface Waiting {
  readonly program: Program;
  readonly resolve: (output: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The process that works inside namespaces. Started on first use and again when it has died; ends with this process, because its input does.
 * Programs run one after another, in the order given. It keeps the event loop alive only while a program runs.
 */
export class NamespaceHelper implements AsyncDisposable {
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | undefined;
  #nextID = 1;

  /** Runs a program to its end. Answers everything netlink said. @throws NetworkError, `unavailable` when the helper dies. */
  run(program: Program): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const id = this.#nextID++ >>> 0;
      const child = (this.#child ??= this.#start());
      const body = program.encode();
      const head = Buffer.alloc(8);
      head.writeUInt32LE(4 + body.length, 0);
      head.writeUInt32LE(id, 4);
      this.#waiting.set(id, { program, resolve, reject });
      if (this.#waiting.size === 1) hold(child);
      child.stdin!.write(Buffer.concat([head, body]));
    });
  }

  /** Sockets on an address of the namespace held at `path`, as descriptors of this process; ports as the kernel chose them. */
  async openSockets(path: string, address: Address, kinds: readonly ('udp' | 'tcp')[]): Promise<readonly HeldSocket[]> {
    const program = new Program().enter(path);
    for (const kind of kinds) program.listen(kind, address, 0);
    const held = decodeSockets(await this.run(program));
    const pidfd = sys.pidfdOpen(this.#child!.pid!);
    try {
      return held.map(({ descriptor, port }) => ({ descriptor: sys.pidfdGetfd(pidfd, descriptor), port }));
    } finally {
      sys.close(pidfd);
      await this.run(held.reduce((all, { descriptor }) => all.close(descriptor), new Program()));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    hold(child);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdin!.end();
    if (child.exitCode === null && child.signalCode === null) await ended;
  }

  #start(): ChildProcess {
    const child = spawn(helperPath('netns'), [], { stdio: ['pipe', 'pipe', 'inherit'] });
    const end = (why: string) => {
      if (this.#child === child) this.#child = undefined;
      this.#fail(new EngineError('unavailable', `network helper: ${why}`));
    };
    child.on('error', (error) => end(messageOf(error)));
    child.stdin!.on('error', () => {});
    child.on('exit', (code, signal) => end(`ended with ${signal ?? `code ${code}`}`));
    void this.#read(child).catch((error) => {
      child.kill('SIGKILL');
      end(messageOf(error));
    });
    release(child);
    return child;
  }

  #fail(error: EngineError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }

  async #read(child: ChildProcess): Promise<void> {
    let pending: Buffer = Buffer.alloc(0);
    for await (const chunk of child.stdout!) {
      pending = pending.length === 0 ? (chunk as Buffer) : Buffer.concat([pending, chunk as Buffer]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
        const sizeBytes = 4 + pending.readUInt32LE(0);
        this.#settle(pending.subarray(4, sizeBytes));
        pending = pending.subarray(sizeBytes);
        if (this.#waiting.size === 0) release(child);
      }
    }
  }

  #settle(answer: Buffer): void {
    const id = answer.readUInt32LE(0);
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    const result = answer.readInt32LE(4);
    const output = answer.subarray(12);
    if (result === 0) {
      waiting.resolve(output);
      return;
    }
    const detail = refusalText(output);
    const reason = reasonOf(result);
    const code = errorName(result);
    const said = detail ? `${reason} (${detail})` : reason;
    waiting.reject(new NetworkError(code, waiting.program.failureText(answer.readUInt32LE(8), code, said)));
  }
}

/** libuv says of what is not supported that a socket lacks it. */
function reasonOf(result: number): string {
  if (errorName(result) === 'ENOTSUP') return 'operation not supported';
  return getSystemErrorMap().get(result)?.[1] ?? `error ${-result}`;
}

function errorName(result: number): string {
  return getSystemErrorMap().has(result) ? getSystemErrorName(result) : `E${-result}`;
}

function hold(child: ChildProcess): void {
  child.ref();
  (child.stdout as Socket).ref();
}

function release(child: ChildProcess): void {
  child.unref();
  (child.stdout as Socket).unref();
  (child.stdin as Socket).unref();
}
