/**
 * Where the time of one `run --rm` goes inside the engine: opens one in this process, runs `true` and prints the median of each step.
 * Usage: trace-run.ts [--runs N] [--network none|bridge|host] [--keep]
 */
import { tracingChannel } from 'node:diagnostics_channel';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import type { Engine } from '#api-types';
import { openEngine, type TraceContext, type TraceStep, traceChannelName, traceSteps } from '#engine';
import { baseImageTar } from '../scripts/base-image.ts';
import { median, short, table } from './figures.ts';

interface Span {
  readonly fromMs: number;
  readonly tookMs: number;
}

const warmUps = 3;

/** Marks that only the caller sees. */
const callerSteps = ['attach call', 'start call', 'output ended', 'removed'] as const;

type Step = TraceStep | (typeof callerSteps)[number];

/** The spans of each run by container, from the moment its creation began; of a step that came twice, the last. */
class Recorder {
  readonly #runs = new Map<string, { zeroMs: number; spans: Map<Step, Span> }>();

  get runs(): readonly ReadonlyMap<Step, Span>[] {
    return [...this.#runs.values()].map(({ spans }) => spans);
  }

  add(container: string, step: Step, startedMs: number): void {
    const run = this.#runs.get(container) ?? { zeroMs: startedMs, spans: new Map() };
    this.#runs.set(container, run);
    run.spans.set(step, { fromMs: startedMs - run.zeroMs, tookMs: performance.now() - startedMs });
  }

  listen(): void {
    for (const step of traceSteps) {
      const started = new WeakMap<object, number>();
      tracingChannel<object, object>(traceChannelName(step)).subscribe({
        start: (message) => {
          const context = message as TraceContext;
          const nowMs = performance.now();
          started.set(context, nowMs);
          if (step === 'create') this.#runs.set(context.container, { zeroMs: nowMs, spans: new Map() });
        },
        end: () => {},
        asyncStart: (context) => {
          const { container } = context as TraceContext;
          this.add(container, step, started.get(context) ?? 0);
        },
        asyncEnd: () => {},
        error: () => {},
      });
    }
  }
}

/** What `docker run` asks for, in its order. */
async function run(engine: Engine, recorder: Recorder, options: { network: string; keep: boolean }): Promise<void> {
  const { containers } = engine;
  const { Id } = await containers.create({
    Image: 'bench-base',
    Cmd: ['true'],
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { AutoRemove: !options.keep, NetworkMode: options.network },
  });
  const attachMs = performance.now();
  await using streams = await containers.attach(Id, { stream: true, stdout: true, stderr: true });
  recorder.add(Id, 'attach call', attachMs);
  const condition = options.keep ? 'next-exit' : 'removed';
  const { result } = await containers.wait(Id, { condition });
  const startMs = performance.now();
  await containers.start(Id);
  recorder.add(Id, 'start call', startMs);
  const startedMs = performance.now();
  for await (const _ of streams.output);
  recorder.add(Id, 'output ended', startedMs);
  const { StatusCode } = await result;
  recorder.add(Id, 'removed', startedMs);
  if (StatusCode !== 0) throw new Error(`true ended with ${StatusCode}`);
  if (options.keep) await containers.remove(Id);
}

function report(runs: readonly ReadonlyMap<Step, Span>[]): string {
  const rows = [...traceSteps, ...callerSteps].flatMap((step) => {
    const spans = runs.flatMap((spans) => spans.get(step) ?? []);
    if (spans.length === 0) return [];
    const fromMs = median(spans.map((span) => span.fromMs));
    const took = spans.map((span) => span.tookMs);
    return [{ fromMs, cells: [step, short(fromMs), short(median(took)), short(Math.min(...took))] }];
  });
  rows.sort((a, b) => a.fromMs - b.fromMs);
  return table(
    ['step', 'from ms', 'median ms', 'min ms'],
    rows.map((row) => row.cells),
  );
}

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    network: { type: 'string', default: 'bridge' },
    keep: { type: 'boolean', default: false },
  },
});
const folder = await mkdtemp(join(tmpdir(), 'wherry-trace-'));
try {
  await using engine = await openEngine({ root: join(folder, 'data'), execRoot: join(folder, 'run') });
  for await (const _ of engine.images.import(Readable.from([baseImageTar()]), { repo: 'bench-base' }));
  const recorder = new Recorder();
  recorder.listen();
  for (let turn = -warmUps; turn < Number(values.runs); turn++) {
    await run(engine, recorder, { network: values.network, keep: values.keep });
  }
  console.log(report(recorder.runs.slice(warmUps)));
} finally {
  await rm(folder, { recursive: true, force: true });
}
