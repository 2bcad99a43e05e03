import { EngineError } from '#errdefs';
import { type ApiRoute, type Call, decodeAs, type Handler } from '../call.ts';
import { swarmAddress } from '../decoders/small.ts';
import { notYet } from '../not-yet.ts';

/** What dockerd says where a manager is asked for, and this is none. */
export const noManager =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

const notManager: Handler = async () => {
  throw new EngineError('unavailable', noManager);
};
const notMember: Handler = async () => {
  throw new EngineError('unavailable', 'This node is not part of a swarm');
};
/** dockerd looks at the address first. */
const joining = async (call: Call): Promise<void> => {
  const { ListenAddr = '' } = call.hasBody ? decodeAs(swarmAddress, await call.jsonValue()) : {};
  if (ListenAddr === '') {
    throw new EngineError('invalid-argument', 'invalid ListenAddr "": invalid empty address');
  }
  throw new EngineError('not-implemented', 'swarm mode is not supported yet');
};
const noPlugin = async (call: Call): Promise<void> => {
  throw new EngineError('not-found', `plugin ${JSON.stringify(call.param('name'))} not found`);
};
const noCheckpoints: Handler = async () => {
  throw new EngineError(
    'not-implemented',
    'This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.',
  );
};

/** What a dockerd answers that is in no swarm and has no plugins: clients ask on every `info`, `ps` and prune. */
export const swarmRoutes: readonly ApiRoute[] = [
  ['POST', '/swarm/init', joining],
  ['POST', '/swarm/join', joining],
  ['POST', '/swarm/leave', notMember],
  ['GET', '/swarm', notManager],
  ['GET', '/swarm/unlockkey', notManager],
  ['POST', '/swarm/update', notManager],
  ['POST', '/swarm/unlock', notManager],
  ...['services', 'secrets', 'configs'].flatMap((kind): readonly ApiRoute[] => [
    ['GET', `/${kind}`, notManager],
    ['POST', `/${kind}/create`, notManager],
    ['GET', `/${kind}/{id}`, notManager],
    ['POST', `/${kind}/{id}/update`, notManager],
    ['DELETE', `/${kind}/{id}`, notManager],
  ]),
  ...['nodes', 'tasks'].flatMap((kind): readonly ApiRoute[] => [
    ['GET', `/${kind}`, notManager],
    ['GET', `/${kind}/{id}`, notManager],
  ]),
  ['GET', '/services/{id}/logs', notManager],
  ['GET', '/tasks/{id}/logs', notManager],
  ['DELETE', '/nodes/{id}', notManager],
  ['POST', '/nodes/{id}/update', notManager],
  ['GET', '/plugins', async (call) => call.reply(200, [])],
  ['GET', '/plugins/privileges', notYet('installing plugins')],
  ['POST', '/plugins/pull', notYet('installing plugins')],
  ['POST', '/plugins/create', notYet('installing plugins')],
  ['GET', '/plugins/{name:.*}/json', noPlugin],
  ['POST', '/plugins/{name:.*}/enable', noPlugin],
  ['POST', '/plugins/{name:.*}/disable', noPlugin],
  ['POST', '/plugins/{name:.*}/upgrade', noPlugin],
  ['POST', '/plugins/{name:.*}/push', noPlugin],
  ['POST', '/plugins/{name:.*}/set', noPlugin],
  ['DELETE', '/plugins/{name:.*}', noPlugin],
  ['GET', '/containers/{name:.*}/checkpoints', noCheckpoints],
  ['POST', '/containers/{name:.*}/checkpoints', noCheckpoints],
  ['DELETE', '/containers/{name}/checkpoints/{checkpoint}', noCheckpoints],
];
