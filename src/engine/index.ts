/**
 * The engine: the only place where containers, images, networks, volumes and builds meet. `openEngine` gives Docker's engine over a data root, in this
 * process. Data paths read as lists of named steps: `containers/start.ts`, `images/commit.ts`, `builds.ts`. May import every level below.
 */
export type { BuildCacheOptions, CacheRule } from './cache-rules.ts';
export type { ReloadableEngine } from './engine.ts';
export { openEngine } from './open.ts';
export type { EngineOptions } from './options.ts';
export type { ReloadableOptions } from './system/reload.ts';
export {
  eventChannelName,
  type HealthCheckDone,
  healthChannelName,
  type TraceContext,
  type TraceStep,
  traceChannelName,
  traceSteps,
} from './trace.ts';
export { apiVersion, engineVersion, minApiVersion } from './version.ts';
