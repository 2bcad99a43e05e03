import { EngineError } from '#errdefs';
import type { ApiRoute } from '../call.ts';

/** BuildKit's doors. The ping says `Builder-Version: 1`, so clients come here only when they were told to. */
export const sessionRoutes: readonly ApiRoute[] = [
  ['POST', '/session', refuse],
  ['POST', '/grpc', refuse],
];

async function refuse(): Promise<void> {
  throw new EngineError(
    'not-implemented',
    'BuildKit sessions are not supported yet: build with the classic builder (DOCKER_BUILDKIT=0)',
  );
}
