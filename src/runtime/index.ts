/**
 * Containers as processes: an OCI runtime (crun or runc, probed) watched by conmon. Knows bundles, sockets, logs and exit files; nothing of images,
 * networks or Docker's API. Imports errdefs, streams, files, concurrency, sys, log, oci, mount.
 */

export type { BlockLimits } from './block-io.ts';
export { type DeviceGrant, mapDevice, parseDeviceRule } from './device-mapping.ts';
export type { OciDevice } from './host-devices.ts';
export { openRuntime } from './runtime.ts';
export { buildSpec, type HostFacts, type OciSpec } from './spec.ts';
export type { DeviceRule } from './spec-defaults.ts';
export { defaultMaskedPaths, defaultReadonlyPaths } from './spec-defaults.ts';
export * from './types.ts';
