import { EngineError } from '#errdefs';
import { readBody } from '#http';
import { parsePlatform } from '#oci';
import type { ApiRoute, Call } from '../call.ts';
import { joinName } from '../names.ts';
import { platformFromJson } from '../platform.ts';
import { streamProgress } from '../progress.ts';
import { authOption, platformOption } from './images.ts';

export const imageTransferRoutes: readonly ApiRoute[] = [
  ['POST', '/images/create', create],
  ['POST', '/images/load', load],
  ['POST', '/images/{name:.*}/push', push],
  ['POST', '/wherry/v1/images/{name:.*}/push', pushCompressed],
  ['GET', '/images/get', save],
  ['GET', '/images/{name:.*}/get', saveOne],
  ['POST', '/wherry/v1/save', saveSince],
  ['GET', '/wherry/v1/digests', digests],
];

/** A hundred thousand layers. */
const maxListBytes = 16 << 20;

/** One endpoint for pull and import, told apart by its parameters. */
async function create(call: Call): Promise<void> {
  if (call.query.get('fromImage') !== '') await pull(call);
  else if (call.query.get('fromSrc') !== '') await importImage(call);
  else throw new EngineError('invalid-argument', 'either fromImage or fromSrc is required');
}

/** Plain `os/arch[/variant]`, unlike the JSON of the other calls. */
function plainPlatform(call: Call): { platform?: string } {
  const platform = call.before('1.32') ? undefined : call.query.text('platform');
  if (platform === undefined) return {};
  parsePlatform(platform);
  return { platform };
}

async function pull(call: Call): Promise<void> {
  // A bare colon at the end is how old clients say "all tags".
  const wanted = call.query.get('fromImage').replace(/:$/, '');
  const { reference, complete } = joinName(wanted, call.query.get('tag'));
  const messages = call.engine.images.pull(reference, {
    allTags: !complete,
    ...plainPlatform(call),
    ...authOption(call),
    signal: call.signal,
  });
  await streamProgress(call, messages);
}

async function importImage(call: Call): Promise<void> {
  const { query } = call;
  const origin = query.get('fromSrc');
  const repo = query.text('repo');
  const tag = query.text('tag');
  const message = query.text('message');
  const messages = call.engine.images.import(call.body(), {
    ...(repo === undefined ? {} : { repo }),
    ...(tag === undefined ? {} : { tag }),
    ...(message === undefined ? {} : { message }),
    changes: query.all('changes'),
    ...plainPlatform(call),
    origin,
    signal: call.signal,
  });
  await streamProgress(call, messages);
}

async function load(call: Call): Promise<void> {
  const platforms = platformsOf(call);
  const quiet = call.query.boolOr('quiet', true);
  const messages = call.engine.images.load(call.body({ lend: true }), { quiet, platforms, signal: call.signal });
  await streamProgress(call, messages, { always200: true });
}

async function push(call: Call): Promise<void> {
  await pushWith(call, {});
}

/** Docker's push has no word for how. */
async function pushCompressed(call: Call): Promise<void> {
  const compress = call.query.text('compress');
  await pushWith(call, compress === undefined ? {} : { compress });
}

async function pushWith(call: Call, how: { readonly compress?: string }): Promise<void> {
  const { reference, complete } = joinName(call.param('name'), call.query.get('tag'));
  const messages = call.engine.images.push(reference, {
    allTags: !complete,
    ...(call.before('1.46') ? {} : platformOption(call)),
    ...how,
    ...authOption(call),
    signal: call.signal,
  });
  await streamProgress(call, messages);
}

async function save(call: Call): Promise<void> {
  await saveNames(call, call.query.all('names'));
}

async function saveOne(call: Call): Promise<void> {
  await saveNames(call, [call.param('name')]);
}

async function saveNames(call: Call, names: readonly string[]): Promise<void> {
  const platforms = platformsOf(call);
  await call.stream('application/x-tar', call.engine.images.save(names, { platforms, signal: call.signal }));
}

/** Those of an index that are meant; several from API 1.52 on. */
function platformsOf(call: Call): readonly string[] {
  if (call.before('1.48')) return [];
  const given = call.query.all('platform');
  if (given.length > 1 && call.before('1.52')) {
    const message = 'multiple platform parameters are not supported in this API version; use API version 1.52 or later';
    throw new EngineError('invalid-argument', message);
  }
  return given.flatMap((text) => platformFromJson(text) ?? []);
}

/** A save of what the other side lacks: `since` names images it has, the body is what `digests` answers there. */
async function saveSince(call: Call): Promise<void> {
  // An empty list is a list that is wrong, not none.
  const hasList = call.hasBody || call.header('Content-Type') !== undefined;
  const list = hasList ? (await readBody(call.body(), maxListBytes)).toString('utf8') : undefined;
  const since = { images: call.query.all('since'), ...(list === undefined ? {} : { list }) };
  const platforms = call.query.all('platform').flatMap((text) => platformFromJson(text) ?? []);
  const options = { platforms, since, signal: call.signal };
  await call.stream('application/x-tar', call.engine.images.save(call.query.all('names'), options));
}

/** The layers that are here, or those of images `names`: text, see docs/load-save.md. */
async function digests(call: Call): Promise<void> {
  call.text(200, await call.engine.images.digests(call.query.all('names')));
}
