import { EngineError } from '#errdefs';
import type { ContainerNetwork } from './container-network.ts';
import { ParentNetwork } from './parent-network.ts';
import type { NetworkSpec } from './types.ts';

/**
 * A parent whose traffic one network takes whole, or that is on another layer already, can't be another's as well.
 * @throws `permission-denied` in dockerd's words.
 */
export function refuseParentInUse(
  { kind, parent }: NonNullable<NetworkSpec['stacked']>,
  others: Iterable<ContainerNetwork>,
): void {
  for (const other of others) {
    if (!(other instanceof ParentNetwork) || other.parent !== parent || parent === '') continue;
    const refuse = (message: string) => {
      throw new EngineError('permission-denied', message);
    };
    const { kind: taken, id } = other;
    if (taken.driver !== kind.driver) continue;
    const use = `${kind.driver} network ${id} is already using parent interface ${parent}`;
    if (kind.driver === 'macvlan' && taken.mode === 'passthru') refuse(`${use} in mode passthru`);
    if (kind.driver === 'macvlan' && kind.mode === 'passthru') refuse(`cannot use mode passthru, ${use}`);
    if (kind.driver === 'ipvlan' && taken.mode !== kind.mode) {
      refuse(`network di-${id.slice(0, 12)} is already using parent interface ${parent}`);
    }
  }
}

/** @throws `permission-denied` in dockerd's words when another network has the bridge that one asks for. */
export function refuseBridgeInUse({ id, bridgeName }: NetworkSpec, others: Iterable<ContainerNetwork>): void {
  for (const { info } of others) {
    if (bridgeName === undefined || info.bridgeName !== bridgeName) continue;
    const [own, other] = [`${id} (${bridgeName})`, `${info.id} (${bridgeName})`];
    const message = `cannot create network ${own}: conflicts with network ${other}: networks have same bridge name`;
    throw new EngineError('permission-denied', message);
  }
}
