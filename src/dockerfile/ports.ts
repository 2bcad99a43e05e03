import { isIP } from 'node:net';
import { SyntaxFault } from './location.ts';

const protocols = ['tcp', 'udp', 'sctp'];

/** EXPOSE arguments (`80`, `80/udp`, `8000-8010`, also `ip:host:container`) as keys of `ExposedPorts`, sorted. @throws SyntaxFault in Docker's words. */
export function exposedPorts(specs: readonly string[]): string[] {
  return [...new Set(specs.flatMap(portKeys))].sort();
}

function portKeys(spec: string): string[] {
  const parts = spec.split(':');
  const [port, protocolPart] = parts.at(-1)!.split('/');
  const hostPort = parts.at(-2) ?? '';
  checkAddress(parts.slice(0, -2).join(':'));
  if (!port) throw new SyntaxFault(`No port specified: ${spec}<empty>`);
  const range = portRange(port);
  if (!range) throw new SyntaxFault(`Invalid containerPort: ${port}`);
  checkHostPort(hostPort, port, range);
  const protocol = (protocolPart || 'tcp').toLowerCase();
  if (!protocols.includes(protocol)) throw new SyntaxFault(`Invalid proto: ${protocolPart}`);
  return Array.from({ length: range.end - range.start + 1 }, (_, index) => `${range.start + index}/${protocol}`);
}

function checkAddress(address: string): void {
  if (address === '') return;
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  if (isIP(bare) === 0) throw new SyntaxFault(`Invalid ip address: ${bare}`);
}

function checkHostPort(hostPort: string, port: string, range: { start: number; end: number }): void {
  if (hostPort === '') return;
  const host = portRange(hostPort);
  if (!host) throw new SyntaxFault(`Invalid hostPort: ${hostPort}`);
  if (range.end !== range.start && host.end - host.start !== range.end - range.start) {
    throw new SyntaxFault(`Invalid ranges specified for container and host Ports: ${port} and ${hostPort}`);
  }
}

function portRange(text: string): { start: number; end: number } | undefined {
  const [first, last = first] = text.split('-');
  const start = portNumber(first!);
  const end = portNumber(last!);
  return start === undefined || end === undefined || end < start ? undefined : { start, end };
}

function portNumber(text: string): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value <= 65_535 ? value : undefined;
}
