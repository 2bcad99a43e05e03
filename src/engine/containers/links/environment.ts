import type { Container } from '../container.ts';

interface Linked {
  /** `/parent/alias` */
  readonly name: string;
  readonly alias: string;
  readonly child: Pick<Container, 'body'>;
  readonly ipAddress: string;
}

/** What a container is told of one it is linked to, variable for variable and in the order of dockerd. */
export function linkVariables({ name, alias, child, ipAddress }: Linked): string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const { ExposedPorts, Env } = child.body.config;
  return [
    ...portVariables(prefix, sortedPorts(Object.keys(ExposedPorts ?? {})), ipAddress),
    `${prefix}_NAME=${name}`,
    ...(Env ?? [])
      .filter((item) => item.includes('=') && !/^(HOME|PATH)=/.test(item))
      .map((item) => `${prefix}_ENV_${item}`),
  ];
}

interface ExposedPort {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

/** `80/tcp` as numbers and names; what is no protocol of ports is left out. */
export function exposedPorts(specs: readonly string[]): ExposedPort[] {
  return specs.flatMap((spec) => {
    const [port = '', protocol = 'tcp'] = spec.split('/');
    const known = (['tcp', 'udp', 'sctp'] as const).find((name) => name === protocol);
    return known ? [{ port: Number(port), protocol: known }] : [];
  });
}

function sortedPorts(specs: readonly string[]): ExposedPort[] {
  const ports = exposedPorts(specs);
  const rank = ({ protocol }: ExposedPort) => ['tcp', 'udp', 'sctp'].indexOf(protocol);
  return ports.sort((a, b) => rank(a) - rank(b) || a.port - b.port);
}

function portVariables(prefix: string, ports: readonly ExposedPort[], ipAddress: string): string[] {
  const url = ({ port, protocol }: ExposedPort) => `${protocol}://${ipAddress}:${port}`;
  const named = ({ port, protocol }: ExposedPort) => `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
  const variables = ports.slice(0, 1).map((first) => `${prefix}_PORT=${url(first)}`);
  let range = ports.slice(0, 1);
  for (const [at, port] of ports.entries()) {
    const name = named(port);
    variables.push(
      `${name}=${url(port)}`,
      `${name}_ADDR=${ipAddress}`,
      `${name}_PORT=${port.port}`,
      `${name}_PROTO=${port.protocol}`,
    );
    // A range is told when the port after it has been, or the last of all.
    const [first = port, last = first] = [range[0], range.at(-1)];
    const goesOn = port.port === last.port + 1 && port.protocol === first.protocol;
    if (goesOn) range.push(port);
    if (goesOn && at < ports.length - 1) continue;
    const end = range.at(-1)!;
    if (range.length > 1) {
      const start = named(first);
      variables.push(
        `${start}_START=${url(first)}`,
        `${start}_PORT_START=${first.port}`,
        `${start}_END=${url(end)}`,
        `${start}_PORT_END=${end.port}`,
      );
    }
    range = [port];
  }
  return variables;
}
