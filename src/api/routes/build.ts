import type { BuildOptions, CommitOptions } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import { parseInteger } from '#http';
import type { ApiRoute, Call } from '../call.ts';
import type { Decoder } from '../decode.ts';
import { list, map, nullableMap, string } from '../decode.ts';
import { containerConfig, ulimits } from '../decoders/container.ts';
import { unmarshal } from '../go-json.ts';
import { streamProgress } from '../progress.ts';
import { registryConfig } from '../registry-auth.ts';
import { requireDoors } from './session.ts';

export const buildRoutes: readonly ApiRoute[] = [
  ['POST', '/build', build],
  ['POST', '/build/prune', prune],
  ['POST', '/build/cancel', cancel],
  ['POST', '/commit', commit],
];

async function build(call: Call): Promise<void> {
  if (isBuildKit(call)) {
    await buildPosted(call);
    return;
  }
  const messages = call.engine.build(call.body(), { ...buildOptions(call), signal: call.signal });
  await streamProgress(call, messages);
}

/** `version=2` is how a client asks for BuildKit. */
function isBuildKit(call: Call): boolean {
  const version = call.query.get('version');
  if (!['', '1', '2'].includes(version)) {
    throw new EngineError('invalid-argument', `invalid version ${JSON.stringify(version)}`);
  }
  return version === '2';
}

/** Of builds from listings. */
export function refuseBuildKit(call: Call): void {
  if (!isBuildKit(call)) return;
  throw new EngineError('not-implemented', 'BuildKit builds no listings: version=2 is for POST /build');
}

async function buildPosted(call: Call): Promise<void> {
  const { query, signal } = call;
  const doors = requireDoors(call);
  const options = optionsOf(call);
  if (options.squash) throw new EngineError('not-implemented', 'squash is not supported with version=2');
  const [session, buildID] = [query.text('session'), query.text('buildid')];
  const named = { ...(session === undefined ? {} : { session }), ...(buildID === undefined ? {} : { buildID }) };
  await streamProgress(call, doors.build({ body: call.body(), options, ...named, signal }));
}

export function buildOptions(call: Call): BuildOptions {
  if (call.query.get('remote') === 'client-session') {
    throw new EngineError(
      'invalid-argument',
      'experimental session with v1 builder is no longer supported, use builder version v2 (BuildKit) instead',
    );
  }
  return optionsOf(call);
}

function optionsOf(call: Call): BuildOptions {
  const { query } = call;
  if (query.all('securityopt').some((option) => option !== '')) {
    throw new EngineError('invalid-argument', 'security options are not supported on linux');
  }
  const isolation = query.get('isolation');
  if (!['', 'default'].includes(isolation)) {
    throw new EngineError('invalid-argument', `unsupported isolation: ${JSON.stringify(isolation)}`);
  }
  return {
    ...texts(call),
    ...numbers(call),
    t: query.all('t').filter((name) => name !== ''),
    nocache: query.bool('nocache'),
    q: query.bool('q'),
    ...(query.bool('squash') ? { squash: true } : {}),
    ...(query.bool('explain') ? { explain: true } : {}),
    ...(query.bool('plan') ? { plan: true } : {}),
    ...(query.get('rebuild') === '' ? {} : { rebuild: query.get('rebuild') }),
    ...(query.bool('check') ? { check: true } : {}),
    pull: query.bool('pull'),
    rm: query.boolOr('rm', true),
    forcerm: query.bool('forcerm'),
    keepfailed: query.bool('keepfailed'),
    extrahosts: query.all('extrahosts'),
    ...parsed(call, 'buildargs', nullableMap(string(), 'map[string]*string'), 'build args'),
    ...parsed(call, 'labels', map(string()), 'labels'),
    ...parsed(call, 'cachefrom', list(string()), 'cache-from'),
    ...parsed(call, 'ulimits', ulimits, 'ulimit settings'),
    ...auths(call),
  };
}

function auths(call: Call): Pick<BuildOptions, 'auths'> {
  const found = registryConfig(call.header('X-Registry-Config'));
  return found === undefined ? {} : { auths: found };
}

const textKeys = [
  'dockerfile',
  'remote',
  'cgroupparent',
  'target',
  'platform',
  'networkmode',
  'cpusetcpus',
  'cpusetmems',
] as const;

function texts(call: Call): BuildOptions {
  const entries = textKeys.map((key) => [key, call.query.get(key)] as const);
  return Object.fromEntries(entries.filter(([, text]) => text !== ''));
}

const numberKeys = ['memory', 'memswap', 'cpushares', 'cpuperiod', 'cpuquota', 'shmsize'] as const;

/** dockerd takes what is no number for zero everywhere but in `shmsize`; a limit that is silently dropped helps nobody, so all are strict here. */
function numbers(call: Call): BuildOptions {
  const entries = numberKeys.map((key) => [key, call.query.get(key)] as const);
  return Object.fromEntries(
    entries
      .filter(([, text]) => text !== '')
      .map(([key, text]) => [key, parseInteger(text, 'ParseInt', key === 'shmsize' ? 'unknown' : 'invalid-argument')]),
  );
}

function parsed<K extends keyof BuildOptions>(
  call: Call,
  key: K,
  decoder: Decoder<NonNullable<BuildOptions[K]>>,
  what: string,
): Pick<BuildOptions, K> | object {
  const text = call.query.get(key);
  if (text === '') return {};
  try {
    const value = unmarshal(text);
    return value === null ? {} : { [key]: decoder.decode(value, '') };
  } catch (cause) {
    throw new EngineError('invalid-argument', `error reading ${what}: ${messageOf(cause)}`, { cause });
  }
}

async function prune(call: Call): Promise<void> {
  const { query } = call;
  // Clients before API 1.48 know one bound, by its old name.
  const reserved = { reservedSpaceBytes: space(call, 'reserved-space') ?? space(call, 'keep-storage') };
  const bounds = {
    ...reserved,
    maxUsedSpaceBytes: space(call, 'max-used-space'),
    minFreeSpaceBytes: space(call, 'min-free-space'),
  };
  const pruned = await call.engine.pruneBuildCache({
    all: query.bool('all'),
    filters: call.filters,
    ...Object.fromEntries(Object.entries(bounds).filter(([, bytes]) => bytes !== undefined)),
    signal: call.signal,
  });
  call.reply(200, pruned);
}

function space({ query }: Call, name: string): number | undefined {
  const text = query.get(name);
  if (text === '') return undefined;
  try {
    return parseInteger(text);
  } catch (cause) {
    const message = `${name} is in bytes and expects an integer, got ${text}: ${messageOf(cause)}`;
    throw new EngineError('invalid-argument', message, { cause });
  }
}

/** Classic builds are cancelled by hanging up; identifiers are BuildKit's, and an unknown one is no error in dockerd either. */
async function cancel(call: Call): Promise<void> {
  const buildID = call.query.get('id');
  if (buildID === '') throw new EngineError('invalid-argument', 'build ID not provided');
  await call.engine.buildKit?.cancel(buildID);
  call.empty(200);
}

async function commit(call: Call): Promise<void> {
  const { query } = call;
  const config = await call.optionalJson(containerConfig);
  const named = (key: 'repo' | 'tag' | 'comment' | 'author'): CommitOptions => {
    const text = query.text(key);
    return text === undefined ? {} : { [key]: text };
  };
  const container = query.get('container');
  if (container === '') throw new EngineError('invalid-argument', 'invalid name or ID supplied: ""');
  const committed = await call.engine.images.commit(container, {
    ...named('repo'),
    ...named('tag'),
    ...named('comment'),
    ...named('author'),
    pause: query.boolOr('pause', true),
    changes: query.all('changes'),
    ...(config === undefined ? {} : { config }),
    signal: call.signal,
  });
  call.reply(201, committed);
}
