import type { PortBinding } from '#api-types';
import { UsageError } from './flags.ts';

/**
 * `-p` lines as port bindings: `[[host-address:]host-port:]container-port[/protocol]`, with ranges of equal length.
 * @throws UsageError in Docker's words.
 */
export function parsePublish(lines: readonly string[]): Record<string, PortBinding[]> {
  const bindings: Record<string, PortBinding[]> = {};
  for (const line of lines) {
    for (const [port, binding] of parseLine(line)) (bindings[port] ??= []).push(binding);
  }
  return bindings;
}

function parseLine(line: string): (readonly [string, PortBinding])[] {
  const refuse = (why: string): never => {
    throw new UsageError(`invalid argument "${line}" for "-p, --publish" flag: ${why}`);
  };
  const match = /^(?:(?:(\[[^\]]*\]|[^:]*):)?([^:]*):)?([^:/]+)(?:\/([a-z]+))?$/i.exec(line);
  if (!match) return refuse(`invalid proto: ${line}`);
  const [, address = '', hostText = '', containerText = '', protocol = 'tcp'] = match;
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) return refuse(`invalid proto: ${protocol}`);
  const container = portRange(containerText) ?? refuse(`invalid containerPort: ${containerText}`);
  const host = hostText === '' ? undefined : (portRange(hostText) ?? refuse(`invalid hostPort: ${hostText}`));
  const length = container[1] - container[0];
  if (host && host[1] - host[0] !== length && length > 0) {
    return refuse(`invalid ranges specified for container and host Ports: ${containerText} and ${hostText}`);
  }
  return Array.from({ length: length + 1 }, (_, index) => [
    `${container[0] + index}/${protocol.toLowerCase()}`,
    { HostIp: address.replace(/^\[(.*)\]$/, '$1'), HostPort: host ? hostPort(host, index, length) : '' },
  ]);
}

/** One container port with a host range takes any port of it. */
function hostPort(host: readonly [number, number], index: number, length: number): string {
  return length === 0 && host[1] > host[0] ? `${host[0]}-${host[1]}` : String(host[0] + index);
}

function portRange(text: string): readonly [number, number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (!match) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from > to || to > 65535 ? undefined : [from, to];
}
