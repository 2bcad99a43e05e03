import { messageOf } from '#errdefs';
import type { Contender } from './contender.ts';
import type { Bench, Sampler, Task } from './task.ts';

export interface Measured {
  /** By contender, then by metric. */
  readonly values: ReadonlyMap<Contender['name'], ReadonlyMap<string, readonly number[]>>;
  /** Who could not take part, and why. */
  readonly left: readonly { readonly contender: Contender['name']; readonly reason: string }[];
}

interface Running {
  readonly contender: Contender;
  readonly sampler: Sampler;
  readonly values: Map<string, number[]>;
}

/** Takes `samples` of a task of each contender in turn, and starts each round with another one. */
export async function measure(
  task: Task,
  contenders: readonly Contender[],
  bench: Bench,
  samples: number,
): Promise<Measured> {
  await using opened = new AsyncDisposableStack();
  const running = new Map<Contender['name'], Running>();
  const left: { contender: Contender['name']; reason: string }[] = [];
  const leave = (contender: Contender, error: unknown) => {
    running.delete(contender.name);
    left.push({ contender: contender.name, reason: messageOf(error) });
  };
  for (const contender of contenders) {
    try {
      const sampler = opened.use(await task.open(contender, bench));
      running.set(contender.name, { contender, sampler, values: new Map() });
    } catch (error) {
      leave(contender, error);
    }
  }
  for (let round = -task.warmUps; round < samples; round++) {
    const order = [...running.values()];
    for (const one of round % 2 === 0 ? order : order.toReversed()) {
      try {
        const taken = await one.sampler.sample();
        if (round >= 0) record(one.values, taken);
      } catch (error) {
        leave(one.contender, error);
      }
    }
  }
  return { values: new Map([...running].map(([name, one]) => [name, one.values])), left };
}

function record(values: Map<string, number[]>, taken: Readonly<Record<string, number>>): void {
  for (const [metric, value] of Object.entries(taken)) {
    const known = values.get(metric);
    if (known) known.push(value);
    else values.set(metric, [value]);
  }
}
