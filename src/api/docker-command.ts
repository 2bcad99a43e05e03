import type { IncomingHttpHeaders } from 'node:http';

/** Whether the docker command asks, which shows its user what it is given. Programs are given what they look for, where that differs. */
export function isDockerCommand(headers: IncomingHttpHeaders): boolean {
  return headers['user-agent']?.startsWith('Docker-Client/') ?? false;
}
