import type { EngineOptions } from '#engine';
import type { DaemonConfig } from './daemon-config.ts';

/** Where Docker's users keep the certificates of their registries; absent is fine. */
const certsDir = '/etc/docker/certs.d';

/** The engine's options from the daemon's configuration. */
export function engineOptions(config: DaemonConfig): EngineOptions {
  return {
    root: config.dataRoot,
    ...(config.execRoot ? { execRoot: config.execRoot } : {}),
    ...(config.storageDriver ? { storageDriver: config.storageDriver } : {}),
    storageOptions: config.storageOptions,
    dedup: config.dedup,
    retain: config.retain,
    buildCache: config.buildCache,
    ...(config.usernsRemap ? { usernsRemap: config.usernsRemap } : {}),
    ...(config.runtimePath ? { runtimePath: config.runtimePath } : {}),
    ...(config.runtimeName ? { runtimeName: config.runtimeName } : {}),
    ...(config.layerReserveBytes === undefined ? {} : { layerReserveBytes: config.layerReserveBytes }),
    scrub: { intervalMs: config.scrubIntervalMs },
    trash: { graceMs: config.undoGraceMs, minFreePercent: config.undoMinFreePercent },
    runtimeArgs: config.runtimeArgs,
    runtimes: config.runtimes,
    seccompProfile: config.seccompProfile,
    containerDefaults: config.containerDefaults,
    network: {
      ipForward: config.ipForward,
      carriesPorts: config.userlandProxy,
      firewall: config.iptables,
      firewall6: config.ip6tables,
      ipv6: config.ipv6,
      ...(config.fixedCIDRv6 ? { fixedSubnet6: config.fixedCIDRv6 } : {}),
      ...(config.bip6 ? { bip6: config.bip6 } : {}),
      ...(config.fixedCIDR ? { fixedSubnet: config.fixedCIDR } : {}),
      ...(config.defaultGateway ? { gateway: config.defaultGateway } : {}),
      ...(config.defaultGateway6 ? { gateway6: config.defaultGateway6 } : {}),
      directRouting: config.allowDirectRouting,
      hostGateways: config.hostGateways,
      defaultOptions: config.defaultNetworkOptions,
      icc: config.icc,
      masquerade: config.ipMasq,
      dns: config.dns,
      dnsSearch: config.dnsSearch,
      dnsOptions: config.dnsOptions,
      ...(config.bridge ? { bridge: config.bridge } : {}),
      ...(config.bip ? { bip: config.bip } : {}),
      ...(config.mtu ? { mtu: config.mtu } : {}),
      ...(config.ip ? { defaultBridgeBind: config.ip } : {}),
      ...(config.defaultBind ? { defaultBind: config.defaultBind } : {}),
      ...(config.addressPools.length > 0 ? { addressPools: config.addressPools } : {}),
    },
    registry: { insecure: config.insecureRegistries, mirrors: config.registryMirrors, certsDir },
    maxDownloadAttempts: config.maxDownloadAttempts,
    maxConcurrentDownloads: config.maxConcurrentDownloads,
    maxConcurrentUploads: config.maxConcurrentUploads,
    sockets: config.hosts.map((host) =>
      host.kind === 'unix' ? `unix://${host.path}` : `tcp://${host.host}:${host.port}`,
    ),
    liveRestore: config.liveRestore,
    shutdownTimeoutSeconds: config.shutdownTimeoutSeconds,
    ...(config.cdiSpecDirs.length > 0 ? { cdiSpecDirs: config.cdiSpecDirs } : {}),
    reproducibleBuilds: config.reproducibleBuilds,
    debug: config.debug,
    experimental: config.experimental,
    labels: config.labels,
    logDefaults: { driver: config.logDriver, options: config.logOptions },
  };
}
