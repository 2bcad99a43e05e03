import type { ApiRoute, Call } from '../call.ts';

export const pingRoutes: readonly ApiRoute[] = [
  ['HEAD', '/_ping', ping],
  ['GET', '/_ping', ping],
];

/** The headers of a ping are what clients negotiate by. `Builder-Version: 2` is BuildKit, which `docker build` then comes with. */
async function ping(call: Call): Promise<void> {
  await call.engine.system.ping();
  call.setHeader('Builder-Version', '2');
  call.setHeader('Swarm', 'inactive');
  call.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate');
  call.setHeader('Pragma', 'no-cache');
  call.text(200, 'OK');
}
