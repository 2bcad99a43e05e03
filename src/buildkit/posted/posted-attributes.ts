import type { BuildOptions } from '#api-types';
import { EngineError } from '#errdefs';

/** Options of `POST /build` as attributes of the frontend, as dockerd translates them. `remote`: where the context is, when it is no folder of a client. */
export function attributesOf(options: BuildOptions, remote: string | undefined, hostGateway: string | undefined) {
  const { target, dockerfile, nocache, pull, platform, shmsize, cachefrom = [], cgroupparent } = options;
  const pairs: readonly (readonly [string, string | number | undefined])[] = [
    ['target', target],
    ['filename', dockerfile],
    ['context', remote],
    ['no-cache', nocache ? '' : undefined],
    ['image-resolve-mode', pull ? 'pull' : 'default'],
    ['platform', platform],
    ['shm-size', shmsize],
    ['cache-from', cachefrom.join(',') || undefined],
    ['cgroup-parent', cgroupparent],
    ['memory', options.memory],
    ['memswap', options.memswap],
    ['cpushares', options.cpushares],
    ['cpuperiod', options.cpuperiod],
    ['cpuquota', options.cpuquota],
    ['cpusetcpus', options.cpusetcpus],
    ['cpusetmems', options.cpusetmems],
    ['force-network-mode', networkMode(options.networkmode)],
    ['add-hosts', extraHosts(options.extrahosts ?? [], hostGateway) || undefined],
    ['ulimit', (options.ulimits ?? []).map(ulimit).join(',') || undefined],
    ...prefixed('build-arg:', options.buildargs),
    ...prefixed('label:', options.labels),
  ];
  return Object.fromEntries(pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])));
}

function prefixed(prefix: string, values: Readonly<Record<string, string | null>> = {}) {
  return Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value ?? undefined] as const);
}

/** @throws `unknown` in dockerd's words */
function networkMode(mode = 'default'): string | undefined {
  if (mode === 'host' || mode === 'none') return mode;
  if (mode === '' || mode === 'default') return undefined;
  throw new EngineError('unknown', `network mode ${JSON.stringify(mode)} not supported by buildkit`);
}

/** `name:address` as `name=address`. @throws `unknown` in dockerd's words */
function extraHosts(hosts: readonly string[], hostGateway: string | undefined): string {
  return hosts
    .map((host) => {
      const [, name, address = ''] = /^([^:=]+)[:=](.*)$/.exec(host) ?? [];
      if (name === undefined) throw new EngineError('unknown', `invalid host ${host}`);
      const isGateway = address === 'host-gateway';
      if (isGateway && !hostGateway) {
        throw new EngineError('unknown', 'unable to derive the IP value for host-gateway');
      }
      return `${name}=${isGateway ? hostGateway : address}`;
    })
    .join(',');
}

function ulimit({ Name, Soft, Hard }: NonNullable<BuildOptions['ulimits']>[number]): string {
  return `${Name}=${Soft}:${Hard}`;
}
