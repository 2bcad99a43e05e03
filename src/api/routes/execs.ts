import { EngineError, isKind, messageOf } from '#errdefs';
import { type Connection, parseDetachKeys } from '#http';
import type { ApiRoute, Call } from '../call.ts';
import { execConfig, execStart } from '../decoders/container.ts';
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
  parseDetachKeys(config.DetachKeys, 'escape');
  call.reply(201, await call.engine.execs.create(call.param('name'), config));
}

/**
 * As dockerd: an exec that cannot start because its container is paused or stopped is a status; the connection is taken for everything else, and a
 * start that fails says so inside the stream.
 */
async function start(call: Call): Promise<void> {
  const id = call.param('name');
  const options = (await call.optionalJson(execStart)) ?? {};
  const tty = options.Tty ?? false;
  const { OpenStdin, DetachKeys, Running, ExitCode } = await call.engine.execs.inspect(id);
  if (options.Detach) {
    await call.engine.execs.start(id, { detach: true, tty });
    call.empty(200);
    return;
  }
  const consoleSize = tty && !call.before('1.42') ? options.ConsoleSize : undefined;
  const taken: { connection?: Connection } = {};
  const starting = call.engine.execs.start(id, {
    detach: false,
    tty,
    ...(consoleSize === undefined ? {} : { consoleSize }),
    // Some clients lose what comes in one piece with the answer's head: it is on its way before the command runs.
    onAccepted: async () => {
      taken.connection = await acceptHijack(call, tty);
    },
  });
  const isSpent = Running || ExitCode !== null;
  const failure = await starting.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  if (failure && !taken.connection && !isSpent && isKind(failure.error, 'conflict')) throw failure.error;
  await using attached = failure ? undefined : await starting;
  await using connection = taken.connection ?? (await acceptHijack(call, tty));
  if (failure) {
    const data = Buffer.from(`${messageOf(failure.error)}\r\n`);
    await connection.write(wireBytes(tty, { stream: 'stdout', data }));
    return;
  }
  if (attached !== undefined)
    await joinStreams(connection, attached, { tty, stdin: OpenStdin, detachKeys: parseDetachKeys(DetachKeys) });
}

async function resize(call: Call): Promise<void> {
  await call.engine.execs.resize(call.param('name'), terminalSize(call));
  call.empty(200);
}
