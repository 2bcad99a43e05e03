import type { BuildDebugOptions } from '#api-types';
import { maxListingBytes } from '#context-listing';
import { EngineError } from '#errdefs';
import { readBody } from '#http';
import { coalesce } from '#streams';
import type { ApiRoute, Call } from '../call.ts';
import { bool, list, object, string } from '../decode.ts';
import { askedOverHttp, takeFiles } from '../file-requests.ts';
import { streamProgress } from '../progress.ts';
import { buildOptions, refuseBuildKit } from './build.ts';

/** Many short lines go out together. */
const batchBytes = 64 << 10;

/** What Docker's API has no words for. */
export const wherryRoutes: readonly ApiRoute[] = [
  ['POST', '/wherry/v1/verify', verify],
  ['POST', '/wherry/v1/repair', repair],
  ['GET', '/wherry/v1/disk', async (call) => call.reply(200, await call.engine.system.account())],
  ['GET', '/wherry/v1/undo', async (call) => call.reply(200, await call.engine.trash.list())],
  ['POST', '/wherry/v1/undo', undo],
  ['DELETE', '/wherry/v1/trash', async (call) => call.reply(200, await call.engine.trash.empty())],
  ['GET', '/wherry/v1/builds/{name:.*}', buildReport],
  ['GET', '/wherry/v1/images/{name:.*}/files', listImageFiles],
  ['GET', '/wherry/v1/images/{name:.*}/file', readImageFile],
  ['GET', '/wherry/v1/images/{name:.*}/compare', compareImages],
  ['GET', '/wherry/v1/images/{name:.*}/blame', blameImage],
  ['GET', '/wherry/v1/files', fileUsage],
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

/** `number` names a call, `count` says how many of the last; the last one when neither is there. */
async function undo(call: Call): Promise<void> {
  const number = positive(call, 'number');
  const count = positive(call, 'count');
  const wish = { ...(number === undefined ? {} : { number }), ...(count === undefined ? {} : { count }) };
  call.reply(200, await call.engine.trash.undo(wish));
}

function positive(call: Call, name: string): number | undefined {
  const text = call.query.text(name);
  if (text === undefined) return undefined;
  if (!/^[1-9][0-9]{0,14}$/.test(text))
    throw new EngineError('invalid-argument', `${name}: ${JSON.stringify(text)} is not a whole number above zero`);
  return Number(text);
}

/** What each step of the build that made an image did: a list, see `BuildStepExplanation`. */
async function buildReport(call: Call): Promise<void> {
  call.reply(200, await call.engine.images.buildReport(decodeURIComponent(call.param('name'))));
}

/** What is at `path`, one file a line: `recursive`, `self` and `nofollow` as in `ListFilesOptions`. */
async function listImageFiles(call: Call): Promise<void> {
  const { query } = call;
  const path = query.text('path');
  const files = call.engine.images.files(call.param('name'), {
    ...(path === undefined ? {} : { path }),
    recursive: query.bool('recursive'),
    self: query.bool('self'),
    noFollow: query.bool('nofollow'),
    signal: call.signal,
  });
  await call.stream('application/x-ndjson', coalesce(lines(files), batchBytes));
}

/** The bytes of the file at `path`; what it is stands in the header `X-Wherry-File`, as JSON in base64. */
async function readImageFile(call: Call): Promise<void> {
  const path = required(call, 'path');
  const { file, content } = await call.engine.images.file(call.param('name'), path, { signal: call.signal });
  const header = Buffer.from(JSON.stringify(file)).toString('base64');
  await call.stream('application/octet-stream', content, {
    'Content-Length': String(file.sizeBytes),
    'X-Wherry-File': header,
  });
}

function required(call: Call, name: string): string {
  const value = call.query.text(name);
  if (value === undefined) throw new EngineError('invalid-argument', `${name} parameter is required`);
  return value;
}

/** What became of each byte of an image: see `ImageBlame`. `files` of each layer are named. */
async function blameImage(call: Call): Promise<void> {
  const files = count(call, 'files');
  const options = { ...(files === undefined ? {} : { files }), signal: call.signal };
  call.reply(200, await call.engine.images.blame(call.param('name'), options));
}

/** Files that layers of images have several times: see `FileUsage`. `groups` contents are named. */
async function fileUsage(call: Call): Promise<void> {
  const groups = count(call, 'groups');
  const options = { ...(groups === undefined ? {} : { groups }), signal: call.signal };
  call.reply(200, await call.engine.system.fileUsage(options));
}

function count(call: Call, name: string): number | undefined {
  const value = call.query.text(name);
  if (value === undefined) return undefined;
  if (!/^\d{1,6}$/.test(value)) {
    throw new EngineError('invalid-argument', `invalid number of ${name}: ${JSON.stringify(value)}`);
  }
  return Number(value);
}

/** What an image and the one `with` names differ in, one difference a line; `times=1` counts times too. */
async function compareImages(call: Call): Promise<void> {
  const options = { times: call.query.bool('times'), signal: call.signal };
  const found = call.engine.images.compare(call.param('name'), required(call, 'with'), options);
  await call.stream('application/x-ndjson', coalesce(lines(found), batchBytes));
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
  await call.stream('application/x-ndjson', lines(faultLines(faults)));
}

/** One line per damaged thing, see `RepairItem`. */
async function repair(call: Call): Promise<void> {
  await call.stream('application/x-ndjson', lines(call.engine.system.repair({ signal: call.signal })));
}

async function* faultLines(faults: AsyncIterable<string>): AsyncGenerator<{ readonly fault: string }> {
  for await (const fault of faults) yield { fault };
}

async function* lines(values: AsyncIterable<object>): AsyncGenerator<Uint8Array> {
  for await (const value of values) yield Buffer.from(`${JSON.stringify(value)}\n`);
}
