import type { PortMap } from '#api-types';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';

/** IDs of the networks that publish ports. */
export function publishingNetworks(ctx: EngineContext): ReadonlySet<string> {
  const publishing = ctx.networks.list().filter(({ driver, internal }) => driver === 'bridge' && !internal);
  return new Set(publishing.map(({ id }) => id));
}

/** Exposed and published ports: of a container that is on no network which could publish them there are none, as in dockerd. */
export function shownPortMap({ isUp, body }: Container, publishing: () => ReadonlySet<string>): PortMap {
  if (!isUp || Object.keys(body.ports).length === 0) return {};
  const networkIDs = publishing();
  const endpoints = Object.values(body.networks).flatMap(({ endpoint }) => endpoint ?? []);
  return endpoints.some(({ networkID }) => networkIDs.has(networkID)) ? body.ports : {};
}
