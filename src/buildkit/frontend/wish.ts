import { contextVertex, namedVertex } from '#builder';
import { EngineError } from '#errdefs';
import type { FrontendCall, RunningBuild } from '../control/running-build.ts';
import { clientFolder } from '../session/client-folder.ts';
import type { FolderHolder } from '../session/client-session.ts';
import { handedOverBy, nothingHandedOver } from '../session/handed-over.ts';
import { isUpload, upload } from '../session/upload.ts';
import type { BuildFiles, BuildWish } from '../types.ts';
import type { DecodedAttributes, DockerfileSource } from './attributes.ts';
import { type ReadDockerfile, readDockerfile } from './dockerfile-source.ts';
import { namedFiles } from './named-files.ts';

/** What a call of the frontend wants built, of what, with what. */
export async function wishOf(
  build: RunningBuild,
  { options, source, contexts, folderSessions }: DecodedAttributes,
  { inputs }: FrontendCall,
): Promise<BuildWish> {
  const holderOf: FolderHolder = async (folder) => await build.session(folderSessions.get(folder));
  const { signal, status, posted } = build;
  const read = source.isOwnDockerfile ? await readDockerfile(holderOf, source, { signal, status }) : undefined;
  const named = [...contexts].map(async ([name, text]) => {
    return [name, await namedFiles({ name, text, inputs }, holderOf, { signal, status })] as const;
  });
  return {
    files: await filesOf(build, holderOf, source, read),
    contexts: new Map(await Promise.all(named)),
    ...(read ? { dockerfileText: textOf(read, source) } : {}),
    handedOver: build.hasSession ? handedOverBy(await build.session()) : nothingHandedOver,
    credentials: (registry, { signal: within }) => build.credentials(registry, { signal: within }),
    options: { ...options, ...(posted ? { auths: posted.auths } : {}), dockerfile: source.filename },
    onStatus: status.on,
    onBuilt: (image) => build.hold(image),
    signal,
  };
}

async function filesOf(
  build: RunningBuild,
  holderOf: FolderHolder,
  { remote, context, subdirectory, keepsGit }: DockerfileSource,
  read: ReadDockerfile | undefined,
): Promise<BuildFiles> {
  const { status, signal, posted } = build;
  if (remote === undefined) {
    const session = await holderOf(context);
    const loading = status.later(contextVertex, 'transferring context:');
    return {
      kind: 'folder',
      folder: clientFolder(session, { name: context, excludes: read?.excludes ?? [] }, loading),
    };
  }
  if (subdirectory !== undefined) {
    throw new EngineError('not-implemented', 'the frontend attribute contextsubdir is not supported');
  }
  if (!isUpload(remote)) return { kind: 'remote', url: remote, keepsGit };
  if (posted) return { kind: 'tar', bytes: posted.body };
  status.later(namedVertex(`upload ${remote}`), 'transferring context:');
  return { kind: 'tar', bytes: upload(await build.session(), remote, signal) };
}

/** @throws `not-found` in BuildKit's words */
function textOf({ name, bytes, excludes }: ReadDockerfile, { filename }: DockerfileSource) {
  if (bytes) return { name, bytes, ignored: excludes };
  throw new EngineError('not-found', `failed to read dockerfile: open ${filename}: no such file or directory`);
}
