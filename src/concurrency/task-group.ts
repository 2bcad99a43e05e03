/** Work started inside {@link withTaskGroup}. `signal` aborts when any task fails or the caller's signal does. */
export interface TaskGroup {
  readonly signal: AbortSignal;
  /** Starts a task; its failure aborts the others. The result promise may be awaited or left to the group. */
  run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/**
 * Runs `body` with a group; returns when body and every task have settled. The first failure aborts the rest,
 * all are awaited, and that failure is thrown.
 */
export async function withTaskGroup<T>(
  body: (group: TaskGroup) => Promise<T>,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const controller = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, controller.signal]) : controller.signal;
  const tasks: Promise<unknown>[] = [];
  let failure: { error: unknown } | undefined;
  const fail = (error: unknown) => {
    failure ??= { error };
    controller.abort(error);
  };
  const group: TaskGroup = {
    signal,
    run(task) {
      const running = (async () => {
        signal.throwIfAborted();
        return await task(signal);
      })();
      tasks.push(running.catch(fail));
      return running;
    },
  };
  let result: T | undefined;
  try {
    result = await body(group);
  } catch (error) {
    fail(error);
  }
  for (let i = 0; i < tasks.length; i++) await tasks[i];
  if (failure) throw failure.error;
  return result as T;
}
