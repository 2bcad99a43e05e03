import type { Family, Subnet } from './address.ts';
import type { Socket } from './bridge-network.ts';
import type { NetworkNames } from './dns/names.ts';
import type { AddressUse } from './ipam.ts';
import type { ConnectOptions, Endpoint, NetworkInfo } from './types.ts';

/** A network that containers have links on, whatever it stands on. */
export interface ContainerNetwork {
  readonly id: string;
  readonly info: NetworkInfo;
  readonly names: NetworkNames;
  readonly isStarted: boolean;
  readonly subnets: readonly Subnet[];
  /** By subnet. */
  readonly addressUse: ReadonlyMap<string, AddressUse>;
  /** Whether it may be the way out of a container in this family. */
  leadsOut(family: Family): boolean;
  /** Idempotent: called again it restores what others took away. `reserved`: subnets of the other networks. */
  start(reserved: readonly Subnet[]): Promise<void>;
  /** Nothing is left when it fails. */
  connect(containerID: string, socket: Socket, options: ConnectOptions): Promise<Endpoint>;
  disconnect(containerID: string): Promise<void>;
  publish(containerID: string, options: Pick<ConnectOptions, 'name' | 'ports'>): Promise<Endpoint>;
  adopt(containerID: string, endpoint: Endpoint, names: readonly string[]): Promise<void>;
  /** `unknown`: running containers that could not be adopted. */
  recover(unknown: ReadonlySet<string>): Promise<void>;
  verify(keep: ReadonlySet<string>, unknown: ReadonlySet<string>): AsyncIterable<string>;
  teardown(): Promise<void>;
  /** Lets go of sockets; what containers use stays. */
  dispose(): Promise<void>;
}
