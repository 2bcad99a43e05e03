import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { packTar } from '#archive';
import { EngineError, kindOf, messageOf } from '#errdefs';
import type { ByteSource } from '#streams';
import { type Download, download, type OnProgress, progressBar } from '#transfer';
import { sourceKind } from './convert/index.ts';
import { checkOut, type GitHelp, isArchive, packFolder, parseGitReference } from './executor/index.ts';
import type { ScratchRoom } from './types.ts';

interface RemoteOptions {
  /** An empty folder of the build's own. */
  readonly folder: string;
  /** Of a repository without its `.git`. */
  readonly dropsGit: boolean;
  readonly help: GitHelp;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
  readonly room: ScratchRoom | undefined;
}

/** What a URL may be when it is no archive. */
const plainTypes = ['', 'text/plain', 'application/octet-stream'];

/**
 * The context that `remote` of `POST /build` names, as a tar: a git repository, an archive, or a lone Dockerfile.
 * @throws EngineError in dockerd's words
 */
export async function remoteContext(remote: string, options: RemoteOptions): Promise<ByteSource> {
  const kind = sourceKind(remote);
  if (kind === 'local') throw new EngineError('unknown', `remoteURL (${remote}) could not be recognized as URL`);
  if (kind === 'git') {
    const root = await checkOut(parseGitReference(remote), join(options.folder, 'git'), {
      keepGitDir: !options.dropsGit,
      help: options.help,
      signal: options.signal,
      makeRoom: options.room?.make,
    });
    return await packFolder(root, options.signal);
  }
  const path = join(options.folder, 'remote-context');
  const contentType = await fetchContext(remote, path, options);
  const content = () => createReadStream(path);
  if (await isArchive(content)) return content();
  if (!plainTypes.includes(contentType)) {
    throw new EngineError(
      'unknown',
      `error detecting content type for remote ${remote}: unsupported Content-Type "${contentType}"`,
    );
  }
  return lone(path);
}

async function fetchContext(
  remote: string,
  path: string,
  { onProgress, signal, room }: RemoteOptions,
): Promise<string> {
  const found = await get(remote, signal);
  await using file = await open(path, 'wx', 0o600);
  let current = 0;
  for await (const chunk of room?.ahead(found.body) ?? found.body) {
    current += chunk.length;
    await file.writeFile(chunk);
  }
  const progress = progressBar(current, 0);
  onProgress({ status: remote, progressDetail: { current }, progress, id: 'Downloading context' });
  return found.contentType;
}

async function get(remote: string, signal: AbortSignal): Promise<Download> {
  try {
    return await download(remote, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new EngineError(kindOf(error), `error downloading remote context ${remote}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A Dockerfile alone. */
async function* lone(path: string): AsyncGenerator<Uint8Array> {
  const { size } = await stat(path);
  yield* packTar([
    { entry: { type: 'file', path: 'Dockerfile', mode: 0o644, sizeBytes: size }, body: createReadStream(path) },
  ]);
}
