import type { WaitAnswer } from '#api-types';
import { EngineError } from '#errdefs';
import type { EngineContext } from '../context.ts';
import type { StoredState } from './record.ts';

export interface WaitOptions {
  readonly condition?: 'not-running' | 'next-exit' | 'removed';
  readonly signal?: AbortSignal | undefined;
}

/** `POST /containers/{id}/wait`: the wait is registered when this resolves, answered when the condition holds. */
export async function waitContainer(
  ctx: EngineContext,
  reference: string,
  options: WaitOptions = {},
): Promise<{ accepted: true; result: Promise<WaitAnswer> }> {
  const container = ctx.containers.resolve(reference);
  const condition = options.condition ?? 'not-running';
  const settled = (): Promise<StoredState> => {
    switch (condition) {
      case 'not-running':
        return container.ended();
      case 'next-exit':
        return container.nextExit();
      case 'removed':
        return container.removed();
      default:
        throw new EngineError('invalid-argument', `invalid condition: "${condition satisfies never}"`);
    }
  };
  const state = settled();
  return { accepted: true, result: answer(state, condition, options.signal) };
}

/** Who waits while a start fails is not told why: the start has answered that. */
async function answer(
  state: Promise<StoredState>,
  condition: WaitOptions['condition'],
  signal: AbortSignal | undefined,
): Promise<WaitAnswer> {
  const { exitCode, error } = await orAborted(state, signal);
  return {
    ...(error === '' || condition !== 'not-running' ? {} : { Error: { Message: error } }),
    StatusCode: exitCode,
  };
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
