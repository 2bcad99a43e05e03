/**
 * Configuration networks (`--config-only`): what other networks are made from (`--config-from`). Nothing in the kernel stands for them, and no container
 * comes onto one. What may be said of both kinds, and in which words it is refused, is dockerd's.
 */
import type { NetworkCreateConfig, NetworkCreated } from '#api-types';
import { EngineError } from '#errdefs';
import type { NetworkInfo } from '#network';
import type { EngineContext } from '../context.ts';
import { newID } from '../ids.ts';
import { formatNs, nowNs } from '../time.ts';
import { checkIPAM } from './ipam-faults.ts';
import type { StoredNetwork } from './store.ts';

/** In the order they were made. */
export function configurationNetworks({ metadata }: EngineContext): NetworkInfo[] {
  return metadata.networks.list().flatMap(({ id, name, body }) => {
    const { configuration, created } = body as StoredNetwork;
    if (!configuration) return [];
    const { ipv4, ipv6 } = configuration;
    const families = { ipv4, ...(ipv6 ? { ipv6: {} } : {}) };
    return [{ id, name, driver: 'null', createdAt: new Date(created), predefined: false, ...families }];
  });
}

/** @throws `invalid-argument` for faulty pools; neither its driver nor its options mean anything before a network is made from it. */
export async function createConfiguration(ctx: EngineContext, config: NetworkCreateConfig): Promise<NetworkCreated> {
  const { Name: name = '', IPAM, Options, Labels } = config;
  checkIPAM({ IPAM: { Config: IPAM?.Config ?? [] }, Driver: 'macvlan' });
  const id = newID();
  const body: StoredNetwork = {
    created: formatNs(nowNs()),
    configuration: { ipv4: config.EnableIPv4 ?? true, ipv6: config.EnableIPv6 ?? false },
    ipam: {
      Driver: IPAM?.Driver || 'default',
      Options: IPAM?.Options ?? null,
      Config: IPAM?.Config?.length ? IPAM.Config : null,
    },
    options: Options ?? null,
    labels: Labels ?? null,
    attachable: false,
  };
  await ctx.metadata.networks.put({ id, name, body }, { durable: true });
  ctx.events.emit({ type: 'network', action: 'create', id, attributes: { name, type: 'null' } });
  return { Id: id, Warning: '' };
}

/** @throws `permission-denied` for what a configuration can't say. */
export function checkConfiguration({ Internal, Attachable, Ingress, Scope, ConfigFrom }: NetworkCreateConfig): void {
  if (Internal || Attachable || Ingress || (Scope && Scope !== 'local')) {
    const fields = 'Network operator fields like [ ingress | internal | attachable | scope ] are not supported.';
    throw refused(`configuration network can only contain network specific fields. ${fields}`);
  }
  if (ConfigFrom?.Network) throw refused('a configuration network cannot depend on another configuration network');
}

/**
 * What was asked for with what the named configuration says of families, addresses, options and labels; as it is without one.
 * @throws `not-found` when there is no such configuration, `permission-denied` when any of that was asked for as well.
 */
export function withConfiguration(ctx: EngineContext, config: NetworkCreateConfig): NetworkCreateConfig {
  const name = config.ConfigFrom?.Network;
  if (!name) return config;
  const stored = ctx.metadata.networks.byName(name)?.body as StoredNetwork | undefined;
  if (!stored?.configuration) throw new EngineError('not-found', `configuration network "${name}" does not exist`);
  const dependent = 'are not supported if the network depends on a configuration network';
  if (hasAny(config.IPAM?.Config) || hasAny(config.IPAM?.Options) || hasAny(config.Labels) || config.EnableIPv6) {
    throw refused(`user specified configurations ${dependent}`);
  }
  if (hasAny(config.Options)) throw refused(`network driver options ${dependent}`);
  return {
    ...config,
    EnableIPv4: stored.configuration.ipv4,
    EnableIPv6: stored.configuration.ipv6,
    IPAM: stored.ipam,
    Options: stored.options,
    Labels: stored.labels,
  };
}

/** Until it is let go of, the configuration of this name is not removed. */
export function holdConfiguration({ locks }: EngineContext, name: string): Promise<Disposable> {
  return locks.acquire(`network configuration ${name}`);
}

/** @throws `permission-denied` while a network stands on it. */
export function refuseInUse({ metadata }: EngineContext, { name }: NetworkInfo): void {
  const isUsed = metadata.networks.list().some(({ body }) => (body as StoredNetwork).configFrom === name);
  if (isUsed) throw refused(`error while removing network: configuration network "${name}" is in use`);
}

/** @throws `permission-denied`: a container can't come onto a configuration. */
export function refuseConfiguration({ metadata }: EngineContext, { id }: NetworkInfo): void {
  const stored = metadata.networks.get(id)?.body as StoredNetwork | undefined;
  if (stored?.configuration) throw refused('cannot create endpoint on configuration-only network');
}

const hasAny = (list: object | null | undefined) => Object.keys(list ?? {}).length > 0;
const refused = (message: string) => new EngineError('permission-denied', message);
