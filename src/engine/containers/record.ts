import type { ContainerConfig, ContainerStatus, EndpointSettings, HealthResult, HostConfig, PortMap } from '#api-types';
import type { CacheMountWish } from '#builder';
import type { Endpoint } from '#network';
import type { DiffID, Digest } from '#oci';

/** What happens to one path of a container: decided at create, applied at every start. */
export type PlannedMount =
  | {
      readonly kind: 'bind';
      readonly source: string;
      readonly destination: string;
      readonly mode: string;
      readonly readOnly: boolean;
      readonly propagation: string;
      readonly recursive: boolean;
      /** Read-only itself, while what is mounted below keeps its own access. */
      readonly readOnlyNonRecursive?: boolean;
      /** Who owns the source is the container's user in it. */
      readonly idmap?: true;
      /** A cache mount of a build: lent at every start, which says where it is. */
      readonly cache?: { readonly name: string; readonly wish: Omit<CacheMountWish, 'seed'> };
    }
  | {
      readonly kind: 'volume';
      readonly name: string;
      readonly source: string;
      readonly destination: string;
      readonly mode: string;
      readonly readOnly: boolean;
      /** Made for this container alone: goes with it on `rm -v` and `--rm`. */
      readonly anonymous: boolean;
      /** Taken over from another container, with which it stays. */
      readonly inherited?: true;
      /** The part of the volume that is mounted, below its root. */
      readonly subpath?: string;
    }
  | {
      readonly kind: 'image';
      /** As the user named it. */
      readonly name: string;
      readonly chain: readonly DiffID[];
      /** Where it is mounted, once it was. */
      readonly source: string;
      readonly destination: string;
      readonly mode: string;
      /** Of a build's step alone it may not be: then what is written there goes with the end. */
      readonly readOnly: boolean;
      /** The part of the image that is mounted, below its root. */
      readonly subpath?: string;
    }
  | {
      readonly kind: 'tmpfs';
      readonly destination: string;
      readonly options: readonly string[];
      /** From `Mounts` (shown by inspect), not from `Tmpfs`. */
      readonly listed: boolean;
    };

/** A container's state as stored. Times are RFC 3339 with nanoseconds. */
export interface StoredState {
  readonly status: Extract<ContainerStatus, 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead'>;
  readonly pid: number;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly error: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** A container's place on one network: as it was asked for, and while it runs, as it is. */
export interface NetworkAttachment {
  /** Empty until it was first connected. */
  readonly networkID: string;
  readonly config: Pick<
    EndpointSettings,
    'IPAMConfig' | 'Links' | 'Aliases' | 'MacAddress' | 'DriverOpts' | 'GwPriority'
  >;
  readonly dnsNames: readonly string[] | null;
  readonly endpoint?: Endpoint;
}

/** A link on the default bridge, where there is no name server. */
export interface StoredLink {
  readonly containerID: string;
  /** That container's name when it was last seen. */
  readonly name: string;
  readonly alias: string;
}

/** What a container's checks found: the last results, and what follows from them. */
export interface StoredHealth {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  readonly log: readonly HealthResult[];
}

/** Everything about a container that outlives the daemon. */
export interface ContainerBody {
  readonly created: string;
  /** As the user named it. */
  readonly image: string;
  readonly imageID: Digest | '';
  readonly chain: readonly DiffID[];
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly path: string;
  readonly args: readonly string[];
  readonly mounts: readonly PlannedMount[];
  readonly state: StoredState;
  readonly health?: StoredHealth;
  /** By network name. */
  readonly networks: Readonly<Record<string, NetworkAttachment>>;
  /** Containers of the default bridge that it knows by names of its own. */
  readonly links?: readonly StoredLink[];
  /** The network namespace of the last start. */
  readonly sandboxPath?: string;
  /** Published and exposed ports, as inspect shows them while running. */
  readonly ports: PortMap;
  readonly driver: string;
  /** Starts by its restart policy since somebody started it. */
  readonly restartCount: number;
  /** Somebody sent it a signal since. */
  readonly stoppedByHand?: true;
  /** A step of a build left it. */
  readonly step?: true;
  /** It is to run another command once, of which nothing stays: what it runs otherwise. */
  readonly undebugged?: Pick<ContainerBody, 'path' | 'args' | 'config'>;
  /** Being made or being removed, with volumes of its own: found so at start, it is removed with them. */
  readonly unfinished?: true;
}

export const initialState: StoredState = {
  status: 'created',
  pid: 0,
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt: '0001-01-01T00:00:00Z',
  finishedAt: '0001-01-01T00:00:00Z',
};
