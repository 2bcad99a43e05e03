import { EngineError } from '#errdefs';
import type { ApiRoute, Call } from '../call.ts';
import { platformFromJson } from '../platform.ts';
import { registryAuth } from '../registry-auth.ts';
import { imageInspectFor, imageSummariesFor } from '../versions/index.ts';

export const imageRoutes: readonly ApiRoute[] = [
  ['GET', '/images/json', list],
  ['GET', '/images/search', search],
  ['GET', '/images/{name:.*}/attestations', attestations],
  ['GET', '/images/{name:.*}/history', history],
  ['GET', '/images/{name:.*}/json', inspect],
  ['POST', '/images/{name:.*}/tag', tag],
  [
    'POST',
    '/images/prune',
    async (call) => call.reply(200, await call.engine.images.prune({ filters: call.filters, signal: call.signal })),
  ],
  ['DELETE', '/images/{name:.*}', remove],
  ['GET', '/distribution/{name:.*}/json', distribution],
];

const name = (call: Call) => call.param('name');

/** `{ platform }` for options, or nothing. */
export function platformOption(call: Call): { platform?: string } {
  const platform = platformFromJson(call.query.get('platform'));
  return platform === undefined ? {} : { platform };
}

/** `{ auth }` from `X-Registry-Auth`, or nothing. */
export function authOption(call: Call) {
  const auth = registryAuth(call.header('X-Registry-Auth'));
  return auth === undefined ? {} : { auth };
}

async function list(call: Call): Promise<void> {
  const { query } = call;
  const reference = call.before('1.41') ? query.text('filter') : undefined;
  const filters = reference === undefined ? call.filters : { ...call.filters, reference: [reference] };
  const manifests = query.bool('manifests') && !call.before('1.47');
  const identity = query.bool('identity') && !call.before('1.54');
  if (identity && !manifests) {
    throw new EngineError('invalid-argument', 'conflicting options: identity requires manifests=1');
  }
  const images = await call.engine.images.list({
    all: query.bool('all'),
    filters,
    sharedSize: query.bool('shared-size'),
    digests: query.bool('digests'),
    manifests,
    identity,
  });
  call.reply(200, imageSummariesFor(call, images));
}

async function inspect(call: Call): Promise<void> {
  const manifests = call.query.bool('manifests') && !call.before('1.48');
  const platform = call.before('1.49') ? {} : platformOption(call);
  if (manifests && platform.platform !== undefined) {
    throw new EngineError('invalid-argument', 'conflicting options: manifests and platform options cannot both be set');
  }
  const image = await call.engine.images.inspect(name(call), { manifests, ...platform });
  call.reply(200, imageInspectFor(call, image));
}

async function attestations(call: Call): Promise<void> {
  if (call.before('1.55')) {
    call.reply(404, { message: 'page not found' });
    return;
  }
  if (call.query.all('platform').length > 1) {
    throw new EngineError('invalid-argument', 'only one platform value is currently supported');
  }
  const types = call.query.all('type').flatMap((type) => type.trim() || []);
  const options = { ...platformOption(call), types, statement: call.query.bool('statement') };
  call.reply(200, await call.engine.images.attestations(name(call), options));
}

async function history(call: Call): Promise<void> {
  const platform = call.before('1.48') ? {} : platformOption(call);
  call.reply(200, await call.engine.images.history(name(call), platform));
}

async function tag(call: Call): Promise<void> {
  const repo = call.query.get('repo');
  if (repo === '') throw new EngineError('invalid-argument', 'invalid reference format: repo is empty');
  await call.engine.images.tag(name(call), repo, call.query.text('tag'));
  call.empty(201);
}

async function remove(call: Call): Promise<void> {
  const { query } = call;
  const platforms = call.before('1.50')
    ? []
    : query
        .all('platforms')
        .map((text) => platformFromJson(text))
        .filter((platform) => platform !== undefined);
  const removed = await call.engine.images.remove(name(call), {
    force: query.bool('force'),
    noPrune: query.bool('noprune'),
    ...(platforms.length === 0 ? {} : { platforms }),
  });
  call.reply(200, removed);
}

const maxSearchLimit = 100;

async function search(call: Call): Promise<void> {
  const limit = searchLimit(call.query.get('limit'));
  const found = await call.engine.images.search(call.query.get('term'), {
    ...(limit === undefined ? {} : { limit }),
    filters: call.filters,
    ...authOption(call),
    signal: call.signal,
  });
  call.reply(200, found);
}

function searchLimit(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) {
    const quoted = JSON.stringify(text);
    const message = `invalid limit specified: strconv.Atoi: parsing ${quoted}: invalid syntax`;
    throw new EngineError('invalid-argument', message);
  }
  const limit = Number(text);
  if (limit < 1 || limit > maxSearchLimit) {
    const message = `limit ${limit} is outside the range of [1, ${maxSearchLimit}]`;
    throw new EngineError('invalid-argument', message);
  }
  return limit;
}

async function distribution(call: Call): Promise<void> {
  const options = { ...authOption(call), signal: call.signal };
  call.reply(200, await call.engine.images.distribution(name(call), options));
}
