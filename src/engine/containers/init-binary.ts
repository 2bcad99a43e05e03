import { existsSync } from 'node:fs';
import { EngineError } from '#errdefs';

const candidates = [
  '/usr/bin/docker-init',
  '/usr/libexec/docker/docker-init',
  '/usr/bin/tini-static',
  '/sbin/tini-static',
];

/** The init that `--init` puts in front of a command: statically linked, since it runs in any image. Empty when the host has none. */
export function findInit(): string {
  return candidates.find((path) => existsSync(path)) ?? '';
}

/** @throws `failed-precondition` when the host has no init to offer. */
export function requireInit(): string {
  const path = findInit();
  if (path === '') {
    throw new EngineError(
      'failed-precondition',
      'no init binary found on this machine: --init needs docker-init or tini-static',
    );
  }
  return path;
}
