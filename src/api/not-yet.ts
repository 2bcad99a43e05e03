import { EngineError } from '#errdefs';
import type { Handler } from './call.ts';

/** A route of the API that this engine does not serve yet: refused by name, never answered as if it had worked. */
export function notYet(what: string): Handler {
  return async () => {
    throw new EngineError('not-implemented', `${what} is not supported yet`);
  };
}
