import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BuildkitVersionSchema, WorkerRecordSchema } from '../proto/worker_pb.ts';
import type { BuildKitHost } from '../types.ts';

/** By it clients tell a daemon that keeps images as registries have them: only then do they ask it for several platforms, for layouts, for caches. */
const snapshotterLabel = 'org.mobyproject.buildkit.worker.snapshotter';

/** Where clients read what `host-gateway` of `--add-host` stands for. */
const gatewayLabel = 'org.mobyproject.buildkit.worker.moby.host-gateway-ip';

export function buildKitVersion({ version }: BuildKitHost): MessageInitShape<typeof BuildkitVersionSchema> {
  return { package: 'wherry', version: `v${version}` };
}

/** The one worker there is: the engine itself. */
export function workerRecord(host: BuildKitHost): MessageInitShape<typeof WorkerRecordSchema> {
  return {
    id: host.id,
    labels: {
      [snapshotterLabel]: host.snapshotter,
      ...(host.hostGateway === undefined ? {} : { [gatewayLabel]: host.hostGateway }),
    },
    platforms: host.platforms.map(({ os, architecture, variant }) => ({ os, architecture, variant: variant ?? '' })),
    buildkitVersion: buildKitVersion(host),
  };
}
