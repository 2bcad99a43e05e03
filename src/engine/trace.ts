/** Where a container's time goes, for `node:diagnostics_channel` subscribers: a tracing channel per step. Free while nobody listens. */
import { tracingChannel } from 'node:diagnostics_channel';

/** Steps in the life of a container, as `create`, `start`, `exit` and `remove` take them. */
export const traceSteps = [
  'create',
  'prepare',
  'record',
  'start',
  'mount',
  'network',
  'runtime-create',
  'attach',
  'runtime-start',
  'exit',
  'disconnect',
  'runtime-delete',
  'unmount',
  'remove',
  'forget',
] as const;

export type TraceStep = (typeof traceSteps)[number];

/** What subscribers of a step get with each of its events. */
export interface TraceContext {
  readonly step: TraceStep;
  readonly container: string;
}

/** A plain channel: every event that is logged. */
export const eventChannelName = 'wherry.event';

/** A plain channel: every health check that was made. */
export const healthChannelName = 'wherry.health-check';

export interface HealthCheckDone {
  /** It could not be made; what it found is not said here. */
  readonly failed: boolean;
}

/** The channel's name, as given to `tracingChannel`. */
export function traceChannelName(step: TraceStep): string {
  return `wherry.container.${step}`;
}

const channels = new Map(
  traceSteps.map((step) => [step, tracingChannel<object, TraceContext>(traceChannelName(step))]),
);

/** Runs `work` as a step: `start`, `asyncEnd` and `error` of its channel say when. */
export function traced<T>(step: TraceStep, container: string, work: () => Promise<T>): Promise<T> {
  const channel = channels.get(step);
  return channel?.hasSubscribers ? channel.tracePromise(work, { step, container }) : work();
}
