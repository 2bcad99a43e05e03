import { maxDockerfileBytes, parseDockerignore } from '#dockerfile';
import type { ClientSession } from '../session/client-session.ts';
import { readFiles } from '../session/synced-folder.ts';
import type { DockerfileSource } from './attributes.ts';

export interface ReadDockerfile {
  /** Undefined when it is not there. */
  readonly bytes: Uint8Array | undefined;
  /** Patterns of what does not belong to the context. */
  readonly excludes: readonly string[];
}

/** Reads the Dockerfile and what it ignores, before the context is listed. */
export async function readDockerfile(
  session: ClientSession,
  { context, dockerfile, filename }: DockerfileSource,
  { signal }: { signal: AbortSignal },
): Promise<ReadDockerfile> {
  const options = { limitBytes: maxDockerfileBytes, signal };
  const names = [filename, `${filename}.dockerignore`, ...(filename === 'Dockerfile' ? ['dockerfile'] : [])];
  const files = await readFiles(session, { name: dockerfile, followPaths: names }, options);
  const bytes = files.get(filename) ?? files.get('dockerfile');
  const ignore =
    files.get(`${filename}.dockerignore`) ??
    (await readFiles(session, { name: context, followPaths: ['.dockerignore'] }, options)).get('.dockerignore');
  return { bytes, excludes: ignore === undefined ? [] : parseDockerignore(ignore) };
}
