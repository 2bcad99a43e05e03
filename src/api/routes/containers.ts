import type { ContainerInspect, StopOptions } from '#api-types';
import { EngineError } from '#errdefs';
import { type ApiRoute, type Call, decodeAs, jsonText } from '../call.ts';
import { configFieldNames, createConfig, updateConfig } from '../decoders/container.ts';
import { isObject } from '../go-json.ts';
import { migrateLinkSysctls } from '../link-sysctls.ts';
import { refuseUnsupportedConfig, refuseUnsupportedUpdate } from '../unsupported.ts';
import {
  containerInspectFor,
  containerStatsFor,
  containerSummariesFor,
  createFrom,
  updateFrom,
} from '../versions/index.ts';

export const containerRoutes: readonly ApiRoute[] = [
  ['GET', '/containers/json', list],
  ['POST', '/containers/create', create],
  ['POST', '/containers/prune', prune],
  ['GET', '/containers/{name:.*}/json', inspect],
  ['GET', '/containers/{name:.*}/top', top],
  ['GET', '/containers/{name:.*}/changes', changes],
  ['GET', '/containers/{name:.*}/stats', stats],
  ['POST', '/containers/{name:.*}/update', update],
  ['POST', '/containers/{name:.*}/start', start],
  ['POST', '/containers/{name:.*}/stop', stop],
  ['POST', '/containers/{name:.*}/restart', restart],
  ['POST', '/containers/{name:.*}/kill', kill],
  ['POST', '/containers/{name:.*}/pause', (call) => done(call, containers(call).pause(name(call)))],
  ['POST', '/containers/{name:.*}/unpause', (call) => done(call, containers(call).unpause(name(call)))],
  [
    'POST',
    '/containers/{name:.*}/rename',
    (call) => done(call, containers(call).rename(name(call), call.query.get('name'))),
  ],
  ['POST', '/containers/{name:.*}/resize', resize],
  ['POST', '/containers/{name:.*}/wait', wait],
  ['DELETE', '/containers/{name:.*}', remove],
];

const containers = (call: Call) => call.engine.containers;
const name = (call: Call) => call.param('name');

async function done(call: Call, work: Promise<void>): Promise<void> {
  await work;
  call.empty(204);
}

async function list(call: Call): Promise<void> {
  const { query, filters } = call;
  const limit = query.integer('limit');
  const options = { all: query.bool('all'), size: query.bool('size'), filters };
  const found = await containers(call).list(limit === undefined ? options : { ...options, limit });
  call.reply(200, containerSummariesFor(call, found));
}

async function create(call: Call): Promise<void> {
  const body = await call.jsonValue();
  const named = isObject(body) && Object.keys(body).some((key) => configFieldNames.has(key.toLowerCase()));
  const { config, warnings } = createFrom(call, decodeAs(createConfig, body));
  if (!named) {
    throw new EngineError('invalid-argument', 'config cannot be empty in order to create a container');
  }
  refuseUnsupportedConfig(config);
  const platform = call.before('1.41') ? undefined : call.query.text('platform');
  const wanted = { name: call.query.text('name'), platform };
  const migrated = migrateLinkSysctls(call, config);
  const created = await containers(call).create(migrated.config, {
    ...(wanted.name === undefined ? {} : { name: wanted.name }),
    ...(wanted.platform === undefined ? {} : { platform: wanted.platform }),
    ...(call.before('1.44') ? { readOnlyNonRecursive: true } : {}),
  });
  call.reply(201, { ...created, Warnings: [...created.Warnings, ...warnings, ...migrated.warnings] });
}

async function inspect(call: Call): Promise<void> {
  const found = await containers(call).inspect(name(call), { size: call.query.bool('size') });
  const known = inspectTexts.get(found);
  if (known?.version === call.version) return call.replyText(200, known.text);
  const text = jsonText(containerInspectFor(call, found));
  inspectTexts.set(found, { version: call.version, text });
  call.replyText(200, text);
}

/** The bodies of answers which the engine may give again, each for the version that asked last. */
const inspectTexts = new WeakMap<ContainerInspect, { readonly version: string; readonly text: string }>();

/** A stream is JSON values one after the other and has no type; older clients ask for it by saying nothing. */
async function stats(call: Call): Promise<void> {
  const { query, signal } = call;
  const options = { stream: query.boolOr('stream', true), oneShot: query.bool('one-shot'), signal };
  const samples = containers(call).stats(name(call), options);
  if (options.stream) call.startUntyped();
  for await (const sample of samples) {
    const shown = containerStatsFor(call, sample);
    if (!options.stream) return call.reply(200, shown);
    await call.write(`${JSON.stringify(shown)}\n`);
  }
  call.end();
}

async function top(call: Call): Promise<void> {
  call.reply(200, await containers(call).top(name(call), call.query.text('ps_args')));
}

/** No change is `null`, as a Go client writes a list that was never made. */
async function changes(call: Call): Promise<void> {
  const found = await containers(call).changes(name(call));
  call.reply(200, found.length > 0 ? found : null);
}

async function start(call: Call): Promise<void> {
  const detachKeys = call.query.text('detachKeys');
  await containers(call).start(name(call), detachKeys === undefined ? {} : { detachKeys });
  call.empty(204);
}

/** `t` is seconds; a negative one waits for ever. */
function stopOptions(call: Call): StopOptions {
  const timeoutSeconds = call.query.integer('t');
  const signal = call.query.text('signal');
  return {
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(signal === undefined ? {} : { signal }),
  };
}

async function stop(call: Call): Promise<void> {
  await containers(call).stop(name(call), stopOptions(call));
  call.empty(204);
}

async function restart(call: Call): Promise<void> {
  await containers(call).restart(name(call), stopOptions(call));
  call.empty(204);
}

async function kill(call: Call): Promise<void> {
  const signal = call.query.text('signal');
  await containers(call).kill(name(call), signal === undefined ? {} : { signal });
  call.empty(204);
}

async function update(call: Call): Promise<void> {
  const config = (await call.optionalJson(updateConfig)) ?? {};
  refuseUnsupportedUpdate(config);
  call.reply(200, await containers(call).update(name(call), updateFrom(call, config)));
}

/** Height and width of a terminal, for containers and execs. @throws `invalid-argument` in dockerd's words. */
export function terminalSize(call: Call): { height: number; width: number } {
  return { height: dimension(call, 'h', 'height'), width: dimension(call, 'w', 'width') };
}

function dimension(call: Call, key: string, what: string): number {
  const text = call.query.get(key);
  const quoted = JSON.stringify(text);
  if (!/^[+-]?\d+$/.test(text)) {
    throw new EngineError('invalid-argument', `invalid resize ${what} ${quoted}: invalid syntax`);
  }
  const value = Number(text);
  if (value < 0 || value > 0xffffffff) {
    throw new EngineError('invalid-argument', `invalid resize ${what} ${quoted}: value out of range`);
  }
  // A terminal's size has 16 bits, and what runc is told beyond them is lost.
  return value % 0x1_0000;
}

async function resize(call: Call): Promise<void> {
  await containers(call).resize(name(call), terminalSize(call));
  call.empty(200);
}

const waitConditions = ['not-running', 'next-exit', 'removed'] as const;

/** From 1.30 on the headers are out as soon as the wait is in place, which is what `docker run` starts the container on. */
async function wait(call: Call): Promise<void> {
  const text = call.query.get('condition') || 'not-running';
  const condition = waitConditions.find((one) => one === text);
  if (condition === undefined) {
    throw new EngineError('invalid-argument', `invalid condition: ${JSON.stringify(text)}`);
  }
  const { result } = await containers(call).wait(name(call), { condition, signal: call.signal });
  if (!call.before('1.30')) call.start('application/json');
  try {
    const answer = await result;
    if (call.answered) {
      await call.write(`${JSON.stringify(answer)}\n`);
      call.end();
    } else {
      call.reply(200, { StatusCode: answer.StatusCode });
    }
  } catch (error) {
    if (!call.answered) throw error;
    call.breakOff();
  }
}

async function remove(call: Call): Promise<void> {
  const { query } = call;
  const options = { force: query.bool('force'), volumes: query.bool('v'), link: query.bool('link') };
  await containers(call).remove(name(call), options);
  call.empty(204);
}

async function prune(call: Call): Promise<void> {
  call.reply(200, await containers(call).prune({ filters: call.filters }));
}
