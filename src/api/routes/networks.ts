import { EngineError } from '#errdefs';
import { parseBool } from '#http';
import type { ApiRoute, Call } from '../call.ts';
import { networkConnect, networkCreate, networkDisconnect } from '../decoders/network.ts';
import { refuseUnsupportedEndpoint } from '../unsupported.ts';
import { networkInspectFor, networkSummariesFor } from '../versions/index.ts';

export const networkRoutes: readonly ApiRoute[] = [
  ['GET', '/networks', list],
  ['GET', '/networks/', list],
  ['GET', '/networks/{id:.+}', inspect],
  ['POST', '/networks/create', create],
  ['POST', '/networks/{id:.*}/connect', connect],
  ['POST', '/networks/{id:.*}/disconnect', disconnect],
  [
    'POST',
    '/networks/prune',
    async (call) => call.reply(200, await call.engine.networks.prune({ filters: call.filters })),
  ],
  ['DELETE', '/networks/{id:.*}', remove],
];

async function list(call: Call): Promise<void> {
  const { networks } = call.engine;
  const found = await networks.list({ filters: call.filters });
  // Before 1.28 a list told as much as an inspect.
  const shown = call.before('1.28') ? await Promise.all(found.map(({ Id }) => networks.inspect(Id, {}))) : found;
  call.reply(200, networkSummariesFor(call, shown));
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
    status: !call.before('1.52'),
    ...(scope === undefined ? {} : { scope }),
  });
  call.reply(200, networkInspectFor(call, found));
}

async function create(call: Call): Promise<void> {
  call.reply(201, await call.engine.networks.create(await call.json(networkCreate)));
}

async function connect(call: Call): Promise<void> {
  const config = await call.json(networkConnect);
  refuseUnsupportedEndpoint(config.EndpointConfig ?? {}, 'EndpointConfig.');
  await call.engine.networks.connect(call.param('id'), config);
  call.empty(200);
}

async function disconnect(call: Call): Promise<void> {
  await call.engine.networks.disconnect(call.param('id'), await call.json(networkDisconnect));
  call.empty(200);
}

async function remove(call: Call): Promise<void> {
  await call.engine.networks.remove(call.param('id'));
  call.empty(204);
}
