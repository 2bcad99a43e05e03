/** Errors remember the step they came from, so that what came before it can be printed first. */
const failedSteps = new WeakMap<object, number>();

export async function atStep<T>(step: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw blamed(step, error);
  }
}

/** The same for what ends at once. */
export function atStepSync<T>(step: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw blamed(step, error);
  }
}

export function failedStep(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null ? failedSteps.get(error) : undefined;
}

function blamed(step: number, error: unknown): unknown {
  if (typeof error === 'object' && error !== null && !failedSteps.has(error)) failedSteps.set(error, step);
  return error;
}
