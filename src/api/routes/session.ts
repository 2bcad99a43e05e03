import type { BuildKitDoors } from '#api-types';
import { EngineError, type ErrorKind } from '#errdefs';
import type { ApiRoute, Call } from '../call.ts';

/** BuildKit's doors: connections that become gRPC, in one direction or the other. */
export const sessionRoutes: readonly ApiRoute[] = [
  ['POST', '/session', session],
  ['POST', '/grpc', control],
];

/** HTTP/2 with prior knowledge, in the words of BuildKit's clients. */
const protocol = 'h2c';

async function control(call: Call): Promise<void> {
  const doors = requireDoors(call);
  const socket = upgrade(call, 'unknown');
  await doors.control(socket);
}

async function session(call: Call): Promise<void> {
  const doors = requireDoors(call);
  const { headers } = call;
  const methods = call.headerValues('X-Docker-Expose-Session-Grpc-Method');
  const socket = upgrade(call, 'invalid-argument');
  await doors.session(socket, headers, methods);
}

export function requireDoors({ engine }: Call): BuildKitDoors {
  if (engine.buildKit) return engine.buildKit;
  throw new EngineError('not-implemented', 'this engine has no BuildKit sessions');
}

/** Both refuse alike, but for the status. */
function upgrade(call: Call, refusal: ErrorKind) {
  const wanted = call.header('Upgrade') ?? '';
  if (wanted === '') throw new EngineError(refusal, 'no upgrade proto in request');
  if (wanted !== protocol) throw new EngineError(refusal, `protocol ${wanted} not supported`);
  const socket = call.takeSocket();
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
  return socket;
}
