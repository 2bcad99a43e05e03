import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import { type ApiRoute, type Call, decodeAs } from '../call.ts';
import { authConfig } from '../decoders/small.ts';
import { decodeFirst } from '../go-json.ts';
import { checkSeconds } from '../times.ts';
import { diskUsageFor, EventFormat, systemInfoFor } from '../versions/index.ts';

export const systemRoutes: readonly ApiRoute[] = [
  ['GET', '/events', events],
  ['GET', '/info', async (call) => call.reply(200, systemInfoFor(call, await call.engine.system.info()))],
  ['GET', '/version', async (call) => call.reply(200, await call.engine.system.version())],
  ['GET', '/system/df', diskUsage],
  ['POST', '/auth', async (call) => call.reply(200, await call.engine.system.auth(await credentials(call)))],
];

/** dockerd reads these with no look at the type of the body, and its decoder's words are no fault of the client's to it. */
async function credentials(call: Call) {
  const text = await call.bodyText();
  if (text.trim() === '') throw new EngineError('unknown', 'EOF');
  try {
    return decodeAs(authConfig, decodeFirst(text).value);
  } catch (cause) {
    throw new EngineError('unknown', messageOf(cause).replace(/^invalid JSON: /, ''), { cause });
  }
}

const diskUsageTypes = ['container', 'image', 'volume', 'build-cache'];

async function diskUsage(call: Call): Promise<void> {
  const types = call.query.all('type');
  const unknown = types.find((type) => !diskUsageTypes.includes(type));
  if (unknown !== undefined) throw new EngineError('invalid-argument', `unknown object type: ${unknown}`);
  const usage = await call.engine.system.df(types.length > 0 ? { types } : {});
  call.reply(200, diskUsageFor(call, usage));
}

/** The subscription is live before the headers leave: a client may act on them and expect to see its own event. */
async function events(call: Call): Promise<void> {
  const { since, until } = eventTimes(call);
  const filters = call.filters;
  const format = new EventFormat(call);
  const stream = call.engine.system.events({ ...since, ...until, filters, signal: call.signal });
  const iterator = stream[Symbol.asyncIterator]();
  try {
    let step = iterator.next();
    call.start(format.type);
    for (let event = await step; !event.done; event = await step) {
      await call.write(format.line(event.value));
      step = iterator.next();
    }
  } catch (error) {
    if (call.signal.aborted) return;
    log.warn('event stream failed', { error: messageOf(error) });
    call.breakOff();
    return;
  } finally {
    await iterator.return?.();
  }
  call.end();
}

/** Seconds with an optional fraction; clients turn other spellings into that. Checked here because the stream's headers go out at once. */
function eventTimes(call: Call): { since: { since?: string }; until: { until?: string } } {
  const since = call.query.text('since');
  const until = call.query.text('until');
  for (const text of [since, until]) if (text !== undefined) checkSeconds(text);
  if (since !== undefined && until !== undefined && Number(since) > Number(until)) {
    throw new EngineError('invalid-argument', `\`since\` time (${since}) cannot be after \`until\` time (${until})`);
  }
  return {
    since: since === undefined ? {} : { since },
    until: until === undefined ? {} : { until },
  };
}
