import { EngineError, messageOf } from '#errdefs';
import type { ApiRoute, Call } from '../call.ts';
import { execConfig, execStart } from '../decoders/container.ts';
import { parseDetachKeys } from '../detach-keys.ts';
import { acceptHijack, joinStreams, wireBytes } from '../streams.ts';
import { terminalSize } from './containers.ts';

export const execRoutes: readonly ApiRoute[] = [
  ['POST', '/containers/{name:.*}/exec', create],
  ['POST', '/exec/{name:.*}/start', start],
  ['POST', '/exec/{name:.*}/resize', resize],
  ['GET', '/exec/{id:.*}/json', async (call) => call.reply(200, await call.engine.execs.inspect(call.param('id')))],
];

async function create(call: Call): Promise<void> {
  const config = await call.json(execConfig);
  if ((config.Cmd ?? []).length === 0) throw new EngineError('invalid-argument', 'No exec command specified');
  parseDetachKeys(config.DetachKeys);
  call.reply(201, await call.engine.execs.create(call.param('name'), config));
}

/** As dockerd: once the exec is known to exist the connection is taken, and a start that fails says so inside the stream. */
async function start(call: Call): Promise<void> {
  const id = call.param('name');
  const options = (await call.optionalJson(execStart)) ?? {};
  const tty = options.Tty ?? false;
  const { OpenStdin, DetachKeys } = await call.engine.execs.inspect(id);
  if (options.Detach) {
    await call.engine.execs.start(id, { detach: true, tty });
    call.empty(200);
    return;
  }
  const consoleSize = tty && !call.before('1.42') ? options.ConsoleSize : undefined;
  await using connection = await acceptHijack(call, tty);
  try {
    await using attached = await call.engine.execs.start(id, {
      detach: false,
      tty,
      ...(consoleSize === undefined ? {} : { consoleSize }),
    });
    if (attached !== undefined)
      await joinStreams(connection, attached, { tty, stdin: OpenStdin, detachKeys: parseDetachKeys(DetachKeys) });
  } catch (error) {
    const data = Buffer.from(`${messageOf(error)}\r\n`);
    await connection.write(wireBytes(tty, { stream: 'stdout', data }));
  }
}

async function resize(call: Call): Promise<void> {
  await call.engine.execs.resize(call.param('name'), terminalSize(call));
  call.empty(200);
}
