import type { ContainerStats } from '#api-types';
import { delay } from '#concurrency';
import { EngineError } from '#errdefs';
import type { EngineContext } from '../context.ts';
import { formatNs, nowNs, zeroTime } from '../time.ts';
import type { Container } from './container.ts';
import { emptyStats, takeSample } from './stats-sample.ts';

const periodMs = 1000;

export interface StatsOptions {
  /** A sample each second, until the container is removed. */
  readonly stream?: boolean;
  /** Of a single one: at once, with nothing to compare it with. */
  readonly oneShot?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `GET /containers/{id}/stats`. Samples are taken when they are asked for: a consumer that stops reading costs nothing.
 * @throws `not-found`, and `invalid-argument` for a stream of one shot, before the first sample.
 */
export function containerStats(
  ctx: EngineContext,
  reference: string,
  options: StatsOptions = {},
): AsyncIterable<ContainerStats> {
  if (options.stream && options.oneShot) {
    throw new EngineError('invalid-argument', 'cannot have stream=true and one-shot=true');
  }
  const container = ctx.containers.resolve(reference);
  return options.stream ? streamed(ctx, container, options.signal) : single(ctx, container, options);
}

async function* single(
  ctx: EngineContext,
  container: Container,
  { oneShot, signal }: StatsOptions,
): AsyncGenerator<ContainerStats> {
  const first = sample(ctx, container);
  if (oneShot) {
    const { name: _name, id: _id, ...unnamed } = first;
    return yield unnamed;
  }
  if (!container.isUp) return yield first;
  await delay(periodMs, { signal });
  yield sample(ctx, container, first);
}

async function* streamed(
  ctx: EngineContext,
  container: Container,
  signal: AbortSignal | undefined,
): AsyncGenerator<ContainerStats> {
  let last: ContainerStats | undefined;
  while (!signal?.aborted && ctx.containers.get(container.id) === container) {
    last = sample(ctx, container, last);
    yield last;
    if (!(await waited(container, signal))) return;
  }
}

/** False when the wait was cut short: by who asks, or by the container's removal. */
async function waited(container: Container, signal: AbortSignal | undefined): Promise<boolean> {
  const removal = new AbortController();
  const stop = () => removal.abort();
  container.onRemoval(stop);
  try {
    return await delay(periodMs, { signal: signal ? AbortSignal.any([signal, removal.signal]) : removal.signal }).then(
      () => true,
      () => false,
    );
  } finally {
    container.offRemoval(stop);
  }
}

function sample(ctx: EngineContext, container: Container, last?: ContainerStats): ContainerStats {
  const named = { name: `/${container.name}`, id: container.id };
  const found = takeSample(ctx, container);
  if (!found) return { ...named, read: zeroTime, preread: zeroTime, ...emptyStats };
  return {
    ...named,
    read: formatNs(nowNs()),
    preread: last?.read ?? zeroTime,
    ...found,
    precpu_stats: last?.cpu_stats ?? emptyStats.precpu_stats,
    memory_stats: found.memory_stats,
    ...(found.networks ? { networks: found.networks } : {}),
  };
}
