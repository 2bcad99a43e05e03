/** Every body of the Engine API 1.51 that the engine reads or writes, by resource. Field order is the order dockerd writes. */
export * from './build.ts';
export * from './common.ts';
export * from './container-config.ts';
export * from './containers.ts';
export * from './disk-account.ts';
export * from './images.ts';
export * from './networks.ts';
export * from './repair.ts';
export * from './stats.ts';
export * from './system.ts';
export * from './undo.ts';
export * from './volumes.ts';
