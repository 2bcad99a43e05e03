import type { Compression } from '#diff';
import type { Platform } from '#oci';
import type { BuildCacheOptions } from './cache-rules.ts';
import type { ContainerDefaults } from './containers/container-defaults.ts';
import type { LogDefaults } from './containers/log-config.ts';
import type { ScrubOptions } from './system/scrub.ts';
import type { TrashOptions } from './trash/index.ts';

export interface EngineOptions {
  /** Data root; made when missing. */
  readonly root: string;
  /** Run root: sockets, pid and exit files, mounts. Default `/run/wherry/<instance>`, from the data root. */
  readonly execRoot?: string;
  /** `erofs`, `overlay2`, `btrfs`, `fuse-overlayfs`, `vfs`; chosen by probing when absent. */
  readonly storageDriver?: string;
  /** `--storage-opt`, by `driver.option`: `erofs.backing`, `erofs.size`, `overlay2.size`, `btrfs.size`. */
  readonly storageOptions?: Readonly<Record<string, string>>;
  /** `--userns-remap`: `default`, or a user (`user[:group]`, `uid[:gid]`) whose subordinate IDs containers get. Off when absent or empty. */
  readonly usernsRemap?: string;
  /** An OCI runtime's path or bare name; probed (crun, then runc) when absent. */
  readonly runtimePath?: string;
  /** The name that one goes by in `docker info`. */
  readonly runtimeName?: string;
  /** What stands in front of every command that one is given. */
  readonly runtimeArgs?: readonly string[];
  /** Runtimes that containers may ask for by name, beside crun and runc. */
  readonly runtimes?: Readonly<Record<string, { readonly path: string; readonly args: readonly string[] }>>;
  /** The seccomp profile of containers that name none: the path of one, `unconfined`, or `builtin`, which is the default. */
  readonly seccompProfile?: string;
  readonly buildCache?: BuildCacheOptions;
  /** What containers get that do not say otherwise; steps of builds too. */
  readonly containerDefaults?: ContainerDefaults;
  readonly network?: {
    readonly bridge?: string;
    readonly bip?: string;
    readonly addressPools?: readonly { readonly base: string; readonly size: number }[];
    readonly mtu?: number;
    /** The host is told to forward, and ports the kernel cannot lead to containers are carried by this process; on unless false. */
    readonly ipForward?: boolean;
    readonly carriesPorts?: boolean;
    /** `--iptables`: false keeps the firewall untouched. */
    readonly firewall?: boolean;
    /** `--ip6tables`: the same for IPv6. */
    readonly firewall6?: boolean;
    /** `--ipv6`, `--fixed-cidr-v6`: of the default bridge. */
    readonly ipv6?: boolean;
    readonly fixedSubnet6?: string;
    /** Of the default bridge: its IPv6 address, the subnet of containers' IPv4 addresses, and the gateways they are told in the place of its own addresses. */
    readonly bip6?: string;
    readonly fixedSubnet?: string;
    readonly gateway?: string;
    readonly gateway6?: string;
    /** Published ports are open at the container's own address as well, to every host that has a route to it. */
    readonly directRouting?: boolean;
    /** What `host-gateway` stands for; the default bridge's addresses when empty. */
    readonly hostGateways?: readonly string[];
    /** What networks have that do not say otherwise, by driver. */
    readonly defaultOptions?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    /** Of the default bridge, on unless false: containers speak to each other; what leaves gets the host's address. */
    readonly icc?: boolean;
    readonly masquerade?: boolean;
    /** Host address for published ports that name none: of the default bridge, and of every network without one of its own. */
    readonly defaultBridgeBind?: string;
    readonly defaultBind?: string;
    readonly dns?: readonly string[];
    readonly dnsSearch?: readonly string[];
    readonly dnsOptions?: readonly string[];
  };
  readonly registry?: {
    readonly insecure?: readonly string[];
    readonly mirrors?: readonly string[];
    readonly certsDir?: string;
  };
  /** Tries of one request to a registry, and those in a row of one download that bring nothing new. Five unless set. */
  readonly maxDownloadAttempts?: number;
  /** That one large layer may be fetched over, when a single one is slow. Four unless set; 1 keeps to one. */
  readonly maxDownloadConnections?: number;
  readonly maxConcurrentDownloads?: number;
  readonly maxConcurrentUploads?: number;
  /** Of layers made here, where a push does not say; gzip when left out. */
  readonly pushCompression?: Compression | undefined;
  /** What `run` uses when a client names no platform. */
  readonly platform?: Platform;
  /** Sockets a second opener of the root is told of. */
  readonly sockets?: readonly string[];
  /** Containers go on when the engine closes (`--live-restore`). Off: they are stopped. */
  readonly liveRestore?: boolean;
  /** Restart policies bring back containers that do not run. On unless false. */
  readonly autoRestart?: boolean;
  /** How long closing waits for containers that have no stop timeout of their own (they get 10 seconds at most). */
  readonly shutdownTimeoutSeconds?: number;
  /** Folders of CDI specifications, later ones before earlier ones. Default /etc/cdi, /var/run/cdi. */
  readonly cdiSpecDirs?: readonly string[];
  /** Driver and options of containers that name no driver, or this one. `json-file` without options when absent. */
  readonly logDefaults?: LogDefaults;
  /** Builds that give no SOURCE_DATE_EPOCH take the time of the images they stand on. On unless false. */
  readonly reproducibleBuilds?: boolean;
  /** No layer is begun that would leave less of the disk free. 64 MiB unless set. */
  readonly layerReserveBytes?: number;
  /** What is removed can be brought back for a day, unless told otherwise. */
  readonly trash?: TrashOptions;
  /** Blobs are read in the background, once a week unless told otherwise. */
  readonly scrub?: ScrubOptions;
  /** `files`: equal files of layers share their blocks, where the data root's file system can. Off when absent. */
  readonly dedup?: 'files' | undefined;
  /** Compressed forms of layers stay beside the layers: `both`, or of what came from or went to these repositories (`host` or `host/path`). None when absent. */
  readonly retain?: 'both' | readonly string[];
  readonly debug?: boolean;
  /** What `docker info` and `docker version` tell clients, which then offer what they call experimental. */
  readonly experimental?: boolean;
  /** What `docker version` tells clients, of whoever serves the API. */
  readonly apiVersion?: string;
  readonly labels?: readonly string[];
}
