import type { ApiRoute, Call } from '../call.ts';

/** What Docker's API has no words for. */
export const wherryRoutes: readonly ApiRoute[] = [
  ['POST', '/wherry/v1/verify', verify],
  ['GET', '/wherry/v1/builds/{name:.*}', buildReport],
];

/** What each step of the build that made an image did: a list, see `BuildStepExplanation`. */
async function buildReport(call: Call): Promise<void> {
  call.reply(200, await call.engine.images.buildReport(decodeURIComponent(call.param('name'))));
}

/** One line per fault, `{"fault":"…"}`; none when all is well. A check that itself fails breaks the connection: its silence proves nothing. */
async function verify(call: Call): Promise<void> {
  const faults = call.engine.system.verify({ signal: call.signal });
  await call.stream('application/x-ndjson', lines(faults));
}

async function* lines(faults: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const fault of faults) yield Buffer.from(`${JSON.stringify({ fault })}\n`);
}
