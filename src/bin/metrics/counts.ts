import { type ChannelListener, channel, tracingChannel } from 'node:diagnostics_channel';
import { eventChannelName, type HealthCheckDone, healthChannelName, type TraceStep, traceChannelName } from '#engine';
import { Histogram, type Metric } from './text.ts';

const actions: readonly (readonly [action: string, step: TraceStep])[] = [
  ['create', 'create'],
  ['delete', 'remove'],
  ['start', 'start'],
];

/** Counts what happens from when it is made until it is disposed. */
export class Counts implements Disposable {
  readonly #actions = actions.map(([action, step]) => ({ step, histogram: new Histogram({ action }) }));
  readonly #stack = new DisposableStack();
  #events = 0;
  #checks = 0;
  #failedChecks = 0;

  constructor() {
    for (const { step, histogram } of this.#actions) this.#measure(step, histogram);
    this.#listen(eventChannelName, () => this.#events++);
    this.#listen(healthChannelName, (message) => {
      this.#checks++;
      if ((message as HealthCheckDone).failed) this.#failedChecks++;
    });
  }

  metrics(): Metric[] {
    const counter = (name: string, help: string, value: number): Metric => {
      return { name: `engine_daemon_${name}`, help, type: 'counter', samples: [{ value }] };
    };
    return [
      {
        name: 'engine_daemon_container_actions_seconds',
        help: 'The number of seconds it takes to process each container action',
        type: 'histogram',
        samples: this.#actions.flatMap(({ histogram }) => histogram.samples()),
      },
      counter('events_total', 'The number of events logged', this.#events),
      counter('health_checks_failed_total', 'The total number of failed health checks', this.#failedChecks),
      counter('health_checks_total', 'The total number of health checks', this.#checks),
    ];
  }

  /** Steps that fail are not counted, as in dockerd. */
  #measure(step: TraceStep, histogram: Histogram): void {
    const traced = tracingChannel<object, object>(traceChannelName(step));
    const startedMs = new WeakMap<object, number>();
    const start: ChannelListener = (context) => startedMs.set(context as object, performance.now());
    const end: ChannelListener = (context) => {
      const from = startedMs.get(context as object);
      if (from === undefined || 'error' in (context as object)) return;
      histogram.add((performance.now() - from) / 1000);
    };
    traced.start.subscribe(start);
    traced.asyncStart.subscribe(end);
    this.#stack.defer(() => {
      traced.start.unsubscribe(start);
      traced.asyncStart.unsubscribe(end);
    });
  }

  #listen(name: string, listener: (message: unknown) => void): void {
    const one = channel(name);
    one.subscribe(listener);
    this.#stack.defer(() => one.unsubscribe(listener));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
