import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BuildkitVersionSchema, WorkerRecordSchema } from '../proto/worker_pb.ts';
import type { BuildKitHost } from '../types.ts';

export function buildKitVersion({ version }: BuildKitHost): MessageInitShape<typeof BuildkitVersionSchema> {
  return { package: 'wherry', version: `v${version}` };
}

/** The one worker there is: the engine itself. */
export function workerRecord(host: BuildKitHost): MessageInitShape<typeof WorkerRecordSchema> {
  return {
    id: host.id,
    // By this label clients tell a daemon that keeps images as registries have them: only then do they ask it for several platforms, for layouts, for caches.
    labels: { 'org.mobyproject.buildkit.worker.snapshotter': host.snapshotter },
    platforms: host.platforms.map(({ os, architecture, variant }) => ({ os, architecture, variant: variant ?? '' })),
    buildkitVersion: buildKitVersion(host),
  };
}
