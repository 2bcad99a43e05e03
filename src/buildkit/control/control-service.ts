import type { ConnectRouter } from '@connectrpc/connect';
import { Control } from '../proto/control_pb.ts';
import type { Sessions } from '../session/sessions.ts';
import { tunnelledSession } from '../session/tunnelled-session.ts';
import type { BuildKitHost } from '../types.ts';
import { answering, answeringAll } from './fault-status.ts';
import type { RunningBuilds } from './running-builds.ts';
import { diskUsage, prune } from './usage-service.ts';
import { buildKitVersion, workerRecord } from './worker.ts';

/** `moby.buildkit.v1.Control` */
export function controlService(
  router: ConnectRouter,
  host: BuildKitHost,
  { builds, sessions }: { builds: RunningBuilds; sessions: Sessions },
): void {
  router.service(Control, {
    info: async () => ({ buildkitVersion: buildKitVersion(host) }),
    listWorkers: async () => ({ record: [workerRecord(host)] }),
    solve: (request, { signal }) =>
      answering(async () => ({ exporterResponse: await builds.run(request, { signal }) })),
    session: (incoming, { requestHeader }) => tunnelledSession(sessions, incoming, requestHeader),
    async *status({ ref }, { signal }) {
      const build = builds.history.get(ref) ?? (await answering(() => builds.get(ref, { signal })));
      yield* build.feed.follow({ signal });
    },
    diskUsage: (request) => answering(() => diskUsage(host, request)),
    prune: (request) => answeringAll(prune(host, request)),
    listenBuildHistory: (request, { signal }) => answeringAll(builds.history.listen(request, { signal })),
    updateBuildHistory: ({ ref, pinned, delete: isDeleted }) =>
      answering(async () => {
        builds.history.change(ref, { pinned, delete: isDeleted });
        return {};
      }),
  });
}
