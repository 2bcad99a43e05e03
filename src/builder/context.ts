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
import { Contexts } from './contexts.ts';
import { type BuildContext, cleanTreePath, statPath, toBytes } from './executor/index.ts';
import { type DockerfileText, placeFault } from './fault.ts';
import type { BuilderHost, BuildRequest } from './types.ts';

export interface ReadContext {
  readonly contexts: Contexts;
  readonly dockerfile: Dockerfile;
  readonly text: DockerfileText;
  /** The patterns of its .dockerignore. */
  readonly ignored: IgnoreMatcher;
}

const maxIgnoreBytes = 16 << 20;

/**
 * Reads the Dockerfile, and takes in the context that it comes with. The caller disposes the contexts.
 * @throws EngineError, LocationError in Docker's words
 */
export async function readContext(host: Pick<BuilderHost, 'lendSocket'>, request: BuildRequest): Promise<ReadContext> {
  const contexts = new Contexts(host, request);
  try {
    const given = request.dockerfileText;
    if (!given) return { contexts, ...(await readFrom(await contexts.get(), request.dockerfile || 'Dockerfile')) };
    const text = { name: given.name, lines: linesOf(Buffer.from(given.bytes).toString()) };
    return { contexts, text, dockerfile: parsed(given.bytes, text), ignored: new IgnoreMatcher(given.ignored) };
  } catch (error) {
    await contexts[Symbol.asyncDispose]();
    throw error;
  }
}

/** The client has applied .dockerignore already; as in dockerd only the two files that it always sends are then taken out where the patterns say so. */
async function readFrom(context: BuildContext, wanted: string): Promise<Omit<ReadContext, 'contexts'>> {
  const { path, bytes } = await readDockerfile(context, wanted);
  const text = { name: path, lines: linesOf(bytes.toString()) };
  const dockerfile = parsed(bytes, text);
  const ignored = await readIgnored(context);
  for (const name of ['.dockerignore', path]) {
    if (ignored.excludes(name)) context.remove(cleanTreePath(toBytes(name)));
  }
  return { dockerfile, text, ignored };
}

function parsed(bytes: Uint8Array, text: DockerfileText): Dockerfile {
  try {
    return parseDockerfile(bytes, { name: text.name });
  } catch (error) {
    placeFault(error, text);
    throw error;
  }
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
