import { randomBytes } from 'node:crypto';
import { contextVertex } from '#builder';
import { EngineError } from '#errdefs';
import type { FrontendCall, RunningBuild, Solved } from '../control/running-build.ts';
import { SyncedFolder } from '../session/synced-folder.ts';
import type { BuildKitHost } from '../types.ts';
import { decodeAttributes } from './attributes.ts';
import { readDockerfile } from './dockerfile-source.ts';

/** Runs what BuildKit calls a frontend. There is one: `dockerfile.v0`. @throws `not-implemented` for others; what a build throws */
export async function runFrontend(
  build: RunningBuild,
  host: BuildKitHost,
  { frontend, attributes }: FrontendCall,
): Promise<Solved> {
  if (frontend !== 'dockerfile.v0') throw new EngineError('not-implemented', `frontend ${frontend} is not supported`);
  const { options, source } = decodeAttributes(attributes);
  const session = await build.session();
  const { signal, status } = build;
  const { excludes } = await readDockerfile(session, source, { signal, status });
  const listing = status.later(contextVertex, 'transferring context:');
  await using folder = await SyncedFolder.open(session, { name: source.context, excludes }, { signal });
  const built = await host.build({
    source: { listed: listing.counted(folder.listed()) },
    options,
    onStatus: status.on,
    onBuilt: (image) => build.hold(image),
    signal,
  });
  return {
    ref: randomBytes(16).toString('hex'),
    images: [{ id: built.id, platform: host.platforms[0]! }],
    metadata: {},
  };
}
