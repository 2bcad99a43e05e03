import { readFileSync } from 'node:fs';
import { isErrno } from '#errdefs';
import { sys, type Watch } from '#sys';

/** A process held by descriptor: signals never reach another that got its number. */
export class Pidfd implements Disposable {
  #fd: number | undefined;
  #watch: Watch | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined when no such process runs. */
  static open(pid: number): Pidfd | undefined {
    try {
      return new Pidfd(sys.pidfdOpen(pid));
    } catch (error) {
      // EINVAL: a thread took the number.
      if (isErrno(error, 'ESRCH') || isErrno(error, 'EINVAL')) return undefined;
      throw error;
    }
  }

  /** False when the process has ended. */
  signal(number: number): boolean {
    if (this.#fd === undefined) return false;
    try {
      sys.pidfdSignal(this.#fd, number);
      return true;
    } catch (error) {
      if (isErrno(error, 'ESRCH')) return false;
      throw error;
    }
  }

  /** Calls back once when it ends, without keeping this process alive for it. The descriptor is given up. */
  onEnd(callback: () => void): void {
    if (this.#fd === undefined) return;
    this.#watch = sys.whenReadable(this.#fd, callback);
    this.#watch.unref();
    sys.close(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.#watch?.stop();
    if (this.#fd !== undefined) sys.close(this.#fd);
    this.#fd = undefined;
  }
}

/** The parent of a process, when it runs. conmon is the parent of what it watches. */
export function parentOf(pid: number): number | undefined {
  try {
    const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`).toString())?.[1];
    return parent === undefined ? undefined : Number(parent);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return undefined;
    throw error;
  }
}

/** Whether a process belongs to a cgroup: how a pid read from a file is told from a later owner of the number. */
export function isInCgroup(pid: number, path: string): boolean {
  try {
    const lines = readFileSync(`/proc/${pid}/cgroup`).toString().split('\n');
    return lines.some((line) => line.endsWith(`:${path}`) || line.includes(`:${path}/`));
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return false;
    throw error;
  }
}
