import { definitionVertex, ignoreVertex } from '#builder';
import { maxDockerfileBytes, parseDockerignore } from '#dockerfile';
import type { FolderHolder } from '../session/client-session.ts';
import { readFiles } from '../session/synced-folder.ts';
import type { VertexStatus } from '../status/vertex-status.ts';
import type { DockerfileSource } from './attributes.ts';

export interface ReadDockerfile {
  /** As it was found. */
  readonly name: string;
  /** Undefined when it is not there. */
  readonly bytes: Uint8Array | undefined;
  /** Patterns of what does not belong to the context. */
  readonly excludes: readonly string[];
}

/** Reads the Dockerfile and what it ignores, before the context is listed. */
export async function readDockerfile(
  holderOf: FolderHolder,
  { context, dockerfile, filename, remote }: DockerfileSource,
  { signal, status }: { signal: AbortSignal; status: VertexStatus },
): Promise<ReadDockerfile> {
  const options = { limitBytes: maxDockerfileBytes, signal };
  const names = [filename, `${filename}.dockerignore`, ...(filename === 'Dockerfile' ? ['dockerfile'] : [])];
  const definition = definitionVertex(filename);
  const files = await status.during(definition, async () => {
    const read = await readFiles(await holderOf(dockerfile), { name: dockerfile, followPaths: names }, options);
    const current = read.get(filename)?.byteLength ?? 0;
    status.part(definition.digest, 'transferring dockerfile:', { name: 'transferring', current, done: true });
    return read;
  });
  const bytes = files.get(filename) ?? files.get('dockerfile');
  const name = files.has(filename) || !bytes ? filename : 'dockerfile';
  if (remote !== undefined) return { name, bytes, excludes: [] };
  const loading = status.later(ignoreVertex, 'transferring context:');
  loading.show();
  const ignore =
    files.get(`${filename}.dockerignore`) ??
    (await readFiles(await holderOf(context), { name: context, followPaths: ['.dockerignore'] }, options)).get(
      '.dockerignore',
    );
  loading.add(ignore?.byteLength ?? 0);
  loading.end();
  return { name, bytes, excludes: ignore === undefined ? [] : parseDockerignore(ignore) };
}
