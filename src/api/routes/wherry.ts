import type { BuildDebugOptions } from '#api-types';
import { maxListingBytes } from '#context-listing';
import { EngineError } from '#errdefs';
import { readBody } from '#http';
import type { ApiRoute, Call } from '../call.ts';
import { bool, list, object, string } from '../decode.ts';
import { askedOverHttp, takeFiles } from '../file-requests.ts';
import { streamProgress } from '../progress.ts';
import { buildOptions, refuseBuildKit } from './build.ts';

/** What Docker's API has no words for. */
export const wherryRoutes: readonly ApiRoute[] = [
  ['POST', '/wherry/v1/verify', verify],
  ['GET', '/wherry/v1/builds/{name:.*}', buildReport],
  ['POST', '/wherry/v1/build', buildFromListing],
  ['POST', '/wherry/v1/build/files/{id}', takeBuildFiles],
  ['POST', '/wherry/v1/builds/{id}/debug', debugBuild],
];

/** `POST /build` with a listing of the context for a body; see docs/build-protocol.md. */
async function buildFromListing(call: Call): Promise<void> {
  refuseBuildKit(call);
  const options = { ...buildOptions(call), signal: call.signal };
  if (options.remote) throw new EngineError('invalid-argument', 'a build from a listing has no remote context');
  const listing = await readBody(call.body(), maxListingBytes);
  await streamProgress(call, call.engine.buildListed(askedOverHttp(listing), options));
}

async function takeBuildFiles(call: Call): Promise<void> {
  await takeFiles(call.param('id'), call.body({ lend: true }));
  call.empty(204);
}

/** What each step of the build that made an image did: a list, see `BuildStepExplanation`. */
async function buildReport(call: Call): Promise<void> {
  call.reply(200, await call.engine.images.buildReport(decodeURIComponent(call.param('name'))));
}

const debugOptions = object<BuildDebugOptions>('BuildDebugOptions', {
  command: list(string()),
  tty: bool,
  stdin: bool,
});

/** What the container of a failed step is to run once, in place of the step; it is attached to and started as any other. */
async function debugBuild(call: Call): Promise<void> {
  const options = await call.optionalJson(debugOptions);
  call.reply(200, { Id: await call.engine.debugBuild(decodeURIComponent(call.param('id')), options) });
}

/** One line per fault, `{"fault":"…"}`; none when all is well. A check that itself fails breaks the connection: its silence proves nothing. */
async function verify(call: Call): Promise<void> {
  const faults = call.engine.system.verify({ signal: call.signal });
  await call.stream('application/x-ndjson', lines(faults));
}

async function* lines(faults: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const fault of faults) yield Buffer.from(`${JSON.stringify({ fault })}\n`);
}
