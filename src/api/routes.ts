import type { Route } from '#http';
import type { Handler } from './call.ts';
import { buildRoutes } from './routes/build.ts';
import { containerArchiveRoutes } from './routes/container-archive.ts';
import { containerStreamRoutes } from './routes/container-streams.ts';
import { containerRoutes } from './routes/containers.ts';
import { execRoutes } from './routes/execs.ts';
import { imageTransferRoutes } from './routes/image-transfers.ts';
import { imageRoutes } from './routes/images.ts';
import { networkRoutes } from './routes/networks.ts';
import { pingRoutes } from './routes/ping.ts';
import { sessionRoutes } from './routes/session.ts';
import { swarmRoutes } from './routes/swarm.ts';
import { systemRoutes } from './routes/system.ts';
import { volumeRoutes } from './routes/volumes.ts';
import { wherryRoutes } from './routes/wherry.ts';

/** Every endpoint, literal paths before wide patterns. To add one, add a line to its resource's file. */
export const apiRoutes: readonly Route<Handler>[] = [
  ...pingRoutes,
  ...systemRoutes,
  ...containerStreamRoutes,
  ...containerArchiveRoutes,
  ...execRoutes,
  ...containerRoutes,
  ...imageTransferRoutes,
  ...imageRoutes,
  ...buildRoutes,
  ...networkRoutes,
  ...volumeRoutes,
  ...sessionRoutes,
  ...swarmRoutes,
  ...wherryRoutes,
].map(([method, pattern, target]) => ({ method, pattern, target }));
