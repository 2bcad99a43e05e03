import { EngineError } from '#errdefs';
import type { NetworkInfo } from '#network';
import type { EngineContext } from '../context.ts';
import { configurationNetworks } from './configurations.ts';

/** Those that containers come onto, then the configurations. */
export function knownNetworks(ctx: EngineContext): readonly NetworkInfo[] {
  return [...ctx.networks.list(), ...configurationNetworks(ctx)];
}

/** By ID, name or unique ID prefix, in this order, as dockerd. @throws `invalid-argument` when a prefix is of several. */
export function findNetwork(ctx: EngineContext, reference: string): NetworkInfo | undefined {
  const networks = knownNetworks(ctx);
  const exact =
    networks.find((network) => network.id === reference) ?? networks.find((network) => network.name === reference);
  if (exact || reference === '') return exact;
  const byPrefix = networks.filter((network) => network.id.startsWith(reference));
  if (byPrefix.length > 1) {
    throw new EngineError(
      'invalid-argument',
      `network ${reference} is ambiguous (${byPrefix.length} matches found on ID)`,
    );
  }
  return byPrefix[0];
}

/** @throws `not-found` `network x not found`. */
export function resolveNetwork(ctx: EngineContext, reference: string): NetworkInfo {
  const network = findNetwork(ctx, reference);
  if (!network) throw new EngineError('not-found', `network ${reference} not found`);
  return network;
}
