import { EngineError, messageOf } from '#errdefs';
import type { ApiRoute, Call } from '../call.ts';
import { volumeCreate } from '../decoders/small.ts';
import { noManager } from './swarm.ts';

export const volumeRoutes: readonly ApiRoute[] = [
  ['GET', '/volumes', list],
  ['GET', '/volumes/{name:.+}', async (call) => call.reply(200, await call.engine.volumes.inspect(call.param('name')))],
  ['POST', '/volumes/create', create],
  ['POST', '/volumes/prune', prune],
  ['PUT', '/volumes/{name:.*}', update],
  ['DELETE', '/volumes/{name:.*}', remove],
];

async function list(call: Call): Promise<void> {
  call.reply(200, await call.engine.volumes.list({ filters: listFilters(call) }));
}

function listFilters(call: Call) {
  try {
    return call.filters;
  } catch (cause) {
    throw new EngineError('invalid-argument', `error reading volume filters: ${messageOf(cause)}`, { cause });
  }
}

/** Before 1.42 a prune took named volumes too, which has to be asked for since. */
async function prune(call: Call): Promise<void> {
  const { all = [], ...rest } = call.filters;
  const filters = call.before('1.42') ? { ...rest, all: [...all, 'true'] } : call.filters;
  call.reply(200, await call.engine.volumes.prune({ filters }));
}

async function create(call: Call): Promise<void> {
  const { ClusterVolumeSpec, ...config } = await call.json(volumeCreate);
  if (ClusterVolumeSpec !== undefined) {
    throw new EngineError('unavailable', noManager);
  }
  call.reply(201, await call.engine.volumes.create(config));
}

async function update(): Promise<void> {
  throw new EngineError('unavailable', 'volume update only valid for cluster volumes, but swarm is unavailable');
}

async function remove(call: Call): Promise<void> {
  await call.engine.volumes.remove(call.param('name'), { force: call.query.bool('force') });
  call.empty(204);
}
