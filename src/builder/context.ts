import { join } from 'node:path';
import {
  type Dockerfile,
  IgnoreMatcher,
  linesOf,
  maxDockerfileBytes,
  parseDockerfile,
  parseDockerignore,
} from '#dockerfile';
import { EngineError } from '#errdefs';
import { readAll } from '#streams';
import { type BuildContext, ContextTree, cleanTreePath, statPath, toBytes } from './executor/index.ts';
import { type DockerfileText, placeFault } from './fault.ts';
import { ListedTree } from './listed/index.ts';
import { remoteContext } from './remote-context.ts';
import type { BuildRequest } from './types.ts';

export interface ReadContext {
  readonly context: BuildContext;
  readonly dockerfile: Dockerfile;
  readonly text: DockerfileText;
  /** The patterns of its .dockerignore. */
  readonly ignored: IgnoreMatcher;
}

const maxIgnoreBytes = 16 << 20;

/**
 * Takes the context in and reads its Dockerfile. The client has applied .dockerignore already; as in dockerd only the two files that it always
 * sends are then taken out where the patterns say so. The caller disposes the tree.
 * @throws EngineError, LocationError in Docker's words
 */
export async function readContext(request: BuildRequest): Promise<ReadContext> {
  const context = await openContext(request);
  try {
    const { path, bytes } = await readDockerfile(context, request.dockerfile || 'Dockerfile');
    const text = { name: path, lines: linesOf(bytes.toString()) };
    const dockerfile = parsed(bytes, text);
    const ignored = await readIgnored(context);
    for (const name of ['.dockerignore', path]) {
      if (ignored.excludes(name)) context.remove(cleanTreePath(toBytes(name)));
    }
    return { context, dockerfile, text, ignored };
  } catch (error) {
    await context[Symbol.asyncDispose]();
    throw error;
  }
}

function parsed(bytes: Uint8Array, text: DockerfileText): Dockerfile {
  try {
    return parseDockerfile(bytes, { name: text.name });
  } catch (error) {
    placeFault(error, text);
    throw error;
  }
}

async function openContext(request: BuildRequest): Promise<BuildContext> {
  const { listed, signal } = request;
  const dataPath = join(request.scratchDir, 'context');
  if (listed) return await ListedTree.open(listed.context, { ...listed, dataPath, report: request.onProgress, signal });
  const source = request.remote
    ? await remoteContext(request.remote, { ...request, folder: request.scratchDir })
    : request.context;
  return await ContextTree.read(source, dataPath, { signal });
}

async function readDockerfile(context: BuildContext, path: string): Promise<{ path: string; bytes: Buffer }> {
  const candidates = path === 'Dockerfile' ? [path, 'dockerfile'] : [path];
  for (const candidate of candidates) {
    const found = await statPath(context, toBytes(candidate));
    if (!found) continue;
    if (found.node.type !== 'file') {
      throw new EngineError('invalid-argument', `failed to read Dockerfile ${candidate}: it is a ${found.node.type}`);
    }
    return { path: candidate, bytes: await readAll(context.read(found.path), maxDockerfileBytes, candidate) };
  }
  throw new EngineError('invalid-argument', `Cannot locate specified Dockerfile: ${path}`);
}

async function readIgnored(context: BuildContext): Promise<IgnoreMatcher> {
  const ignoreFile = await statPath(context, '.dockerignore');
  if (ignoreFile?.node.type !== 'file') return new IgnoreMatcher([]);
  const bytes = await readAll(context.read(ignoreFile.path), maxIgnoreBytes, '.dockerignore');
  return new IgnoreMatcher(parseDockerignore(bytes));
}
