import type { HostConfig, PortMap } from '#api-types';
import { EngineError } from '#errdefs';
import type { PortBinding } from '#network';

function parsePort(spec: string): { port: number; protocol: 'tcp' | 'udp' | 'sctp' } {
  const [, port = '', protocol = 'tcp'] = /^(\d+)(?:\/(tcp|udp|sctp))?$/.exec(spec) ?? [];
  const number = Number(port);
  if (port === '' || number < 1 || number > 65535)
    throw new EngineError('invalid-argument', `invalid port specification: "${spec.split('/', 1)[0]}"`);
  return { port: number, protocol: protocol as 'tcp' | 'udp' | 'sctp' };
}

/** The host ports a container asks for. @throws `invalid-argument` for what is no port. */
export function wantedPorts(host: HostConfig, exposed: readonly string[]): PortBinding[] {
  const bindings: PortBinding[] = [];
  for (const [spec, list] of Object.entries(host.PortBindings ?? {})) {
    const { port, protocol } = parsePort(spec);
    for (const binding of list?.length ? list : [{}]) {
      bindings.push({
        containerPort: port,
        protocol,
        hostIP: binding.HostIp ?? '',
        ...hostPorts(binding.HostPort ?? ''),
      });
    }
  }
  if (!host.PublishAllPorts) return bindings;
  for (const spec of exposed) {
    const { port, protocol } = parsePort(spec);
    if (bindings.some((other) => other.containerPort === port && other.protocol === protocol)) continue;
    bindings.push({ containerPort: port, protocol, hostIP: '', hostPort: 0 });
  }
  return bindings;
}

/** `8080`, `8000-8010` (the first free one) or nothing (any). */
function hostPorts(text: string): Pick<PortBinding, 'hostPort' | 'hostPortEnd'> {
  if (text === '') return { hostPort: 0 };
  const [, from = '', to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (from === '' || Number(to ?? from) > 65535)
    throw new EngineError('invalid-argument', `invalid port specification: "${text}"`);
  return to === undefined ? { hostPort: Number(from) } : { hostPort: Number(from), hostPortEnd: Number(to) };
}

/** As inspect shows them: every exposed port, with what it is bound to. */
export function boundPorts(exposed: readonly string[], bound: readonly PortBinding[]): PortMap {
  const map: Record<string, { HostIp: string; HostPort: string }[] | null> = Object.fromEntries(
    exposed.map((port) => [port, null]),
  );
  for (const binding of bound) {
    const key = `${binding.containerPort}/${binding.protocol}`;
    (map[key] ??= []).push({
      HostIp: binding.hostIP === '' ? '0.0.0.0' : binding.hostIP,
      HostPort: binding.hostPort === 0 ? '' : String(binding.hostPort),
    });
  }
  return map;
}

/** What is wanted, at the host ports that were found for it before: clients were told those. */
export function sameBindings(wanted: readonly PortBinding[], ports: PortMap): PortBinding[] {
  const bound = new Map(Object.entries(ports).map(([spec, bindings]) => [spec, [...(bindings ?? [])]]));
  return wanted.map((binding) => {
    const found = bound.get(`${binding.containerPort}/${binding.protocol}`) ?? [];
    const known =
      found.find(({ HostIp }) => HostIp === binding.hostIP) ?? (binding.hostIP === '' ? found[0] : undefined);
    if (!known?.HostPort) return binding;
    // The same port on another address is of the same wish.
    for (const other of found.filter(({ HostPort }) => HostPort === known.HostPort))
      found.splice(found.indexOf(other), 1);
    const { hostPortEnd: _any, ...rest } = binding;
    return { ...rest, hostPort: Number(known.HostPort) };
  });
}
