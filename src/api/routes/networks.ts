import { EngineError } from '#errdefs';
import { parseBool } from '#http';
import type { ApiRoute, Call } from '../call.ts';
import { notYet } from '../not-yet.ts';

export const networkRoutes: readonly ApiRoute[] = [
  ['GET', '/networks', list],
  ['GET', '/networks/', list],
  ['GET', '/networks/{id:.+}', inspect],
  ['POST', '/networks/create', notYet('creating a network')],
  ['POST', '/networks/{id:.*}/connect', notYet('connecting a container to a network')],
  ['POST', '/networks/{id:.*}/disconnect', notYet('disconnecting a container from a network')],
  [
    'POST',
    '/networks/prune',
    async (call) => call.reply(200, await call.engine.networks.prune({ filters: call.filters })),
  ],
  ['DELETE', '/networks/{id:.*}', remove],
];

async function list(call: Call): Promise<void> {
  call.reply(200, await call.engine.networks.list({ filters: call.filters }));
}

async function inspect(call: Call): Promise<void> {
  const text = call.query.get('verbose');
  const verbose = text === '' ? false : parseBool(text);
  if (verbose === undefined) {
    const quoted = JSON.stringify(text);
    const message = `invalid value for verbose: ${text}: strconv.ParseBool: parsing ${quoted}: invalid syntax`;
    throw new EngineError('invalid-argument', message);
  }
  const scope = call.query.text('scope');
  const found = await call.engine.networks.inspect(call.param('id'), {
    verbose,
    ...(scope === undefined ? {} : { scope }),
  });
  call.reply(200, found);
}

/** Predefined networks cannot go, and there are no others yet. */
async function remove(call: Call): Promise<void> {
  const network = await call.engine.networks.inspect(call.param('id'));
  throw new EngineError('permission-denied', `${network.Name} is a pre-defined network and cannot be removed`);
}
