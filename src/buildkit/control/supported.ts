import { EngineError } from '#errdefs';
import type { SolveRequest } from '../proto/control_pb.ts';
import { notOurs } from '../result-definition.ts';

/** What a build asks for beside its frontend and its results. @throws `not-implemented` naming what is not honoured */
export function requireSupported({ definition, sourcePolicy, sourcePolicySession, entitlements }: SolveRequest): void {
  if ((definition?.ops.length ?? 0) > 0) throw notOurs();
  if ((sourcePolicy?.rules.length ?? 0) > 0 || sourcePolicySession !== '') {
    throw new EngineError('not-implemented', 'source policies are not supported');
  }
  const unknown = entitlements.find((name) => !granted.includes(name));
  if (unknown !== undefined) throw new EngineError('not-implemented', `${unknown} is not allowed`);
}

/** A build's network may be the host's, as with `POST /build`. */
const granted = ['network.host'];
