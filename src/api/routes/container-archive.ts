import type { ArchiveStat } from '#api-types';
import { EngineError } from '#errdefs';
import type { ApiRoute, Call } from '../call.ts';

export const containerArchiveRoutes: readonly ApiRoute[] = [
  ['HEAD', '/containers/{name:.*}/archive', stat],
  ['GET', '/containers/{name:.*}/archive', get],
  ['PUT', '/containers/{name:.*}/archive', put],
];

function path(call: Call): string {
  const text = call.query.get('path');
  if (text === '') throw new EngineError('invalid-argument', 'bad parameter: pathcannot be empty');
  return text;
}

function statHeader({ name, size, mode, mtime, linkTarget }: ArchiveStat): string {
  return Buffer.from(JSON.stringify({ name, size, mode, mtime, linkTarget })).toString('base64');
}

async function stat(call: Call): Promise<void> {
  const found = await call.engine.containers.archiveStat(call.param('name'), path(call));
  call.setHeader('X-Docker-Container-Path-Stat', statHeader(found));
  call.empty(200);
}

async function get(call: Call): Promise<void> {
  const { stat: found, archive } = await call.engine.containers.getArchive(call.param('name'), path(call), {
    // A chunk of that size has left when its write resolves: it is beyond what a response holds back.
    lend: true,
    signal: call.signal,
  });
  await call.stream('application/x-tar', archive, { 'X-Docker-Container-Path-Stat': statHeader(found) });
}

async function put(call: Call): Promise<void> {
  await call.engine.containers.putArchive(call.param('name'), path(call), call.body({ lend: true }), {
    lent: true,
    noOverwriteDirNonDir: call.query.bool('noOverwriteDirNonDir'),
    copyUIDGID: call.query.bool('copyUIDGID'),
    signal: call.signal,
  });
  call.empty(200);
}
