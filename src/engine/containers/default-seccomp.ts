import { readFile } from 'node:fs/promises';
import { EngineError, isErrno, messageOf } from '#errdefs';
import type { ContainerSpec } from '#runtime';

/** `--seccomp-profile` of the daemon: that of containers that name none and are not privileged. */
export interface DefaultSeccomp {
  /** As `docker info` shows it. */
  readonly name: string;
  /** Undefined: the one that is built in. */
  readonly profile: ContainerSpec['seccomp'] | undefined;
}

/** @throws `invalid-argument` in dockerd's words for a file that cannot be read. */
export async function openDefaultSeccomp(name = 'builtin'): Promise<DefaultSeccomp> {
  if (name === '' || name === 'builtin') return { name: 'builtin', profile: undefined };
  if (name === 'unconfined') return { name, profile: name };
  try {
    return { name, profile: { profile: await readFile(name, 'utf8') } };
  } catch (cause) {
    const reason = isErrno(cause, 'ENOENT') ? `open ${name}: no such file or directory` : messageOf(cause);
    throw new EngineError('invalid-argument', `opening seccomp profile (${name}) failed: ${reason}`, { cause });
  }
}
