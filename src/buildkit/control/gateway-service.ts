import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { LLBBridge, type ReturnRequest, type SolveRequest } from '../proto/gateway_pb.ts';
import { definitionOf, notOurs } from '../result-definition.ts';
import type { BuildKitHost } from '../types.ts';
import { definitionCapabilities, frontendCapabilities } from './capabilities.ts';
import { answering } from './fault-status.ts';
import type { RunningBuild } from './running-build.ts';
import type { RunningBuilds } from './running-builds.ts';
import { workerRecord } from './worker.ts';

const buildHeader = 'buildkit-controlapi-buildid';

/** `moby.buildkit.v1.frontend.LLBBridge`: clients that say themselves what a build is made of, within one that they have begun. */
export function gatewayService(router: ConnectRouter, host: BuildKitHost, builds: RunningBuilds): void {
  const within =
    <I, O>(work: (build: RunningBuild, request: I, signal: AbortSignal) => Promise<O>) =>
    (request: I, context: HandlerContext) =>
      answering(async () => {
        const { signal } = context;
        return await work(await builds.get(buildOf(context), { signal }), request, signal);
      });
  router.service(LLBBridge, {
    ping: within(async () => ({
      frontendCaps: enabled(frontendCapabilities),
      llbCaps: enabled(definitionCapabilities),
      workers: [workerRecord(host)],
    })),
    solve: within(solve),
    return: within(returned),
    evaluate: within(async () => ({})),
    inputs: within(async () => ({})),
  });
}

function buildOf({ requestHeader }: HandlerContext): string {
  const ref = requestHeader.get(buildHeader);
  if (ref === null) throw new ConnectError('no buildid found in context', Code.InvalidArgument);
  return ref;
}

function enabled(capabilities: readonly string[]) {
  return capabilities.map((id) => ({ id, enabled: true }));
}

async function solve(build: RunningBuild, request: SolveRequest) {
  if ((request.definition?.ops.length ?? 0) > 0) throw notOurs();
  const { frontend, frontendOptions: attributes, frontendInputs: inputs } = request;
  if (frontend === '') return { result: { result: emptyRef } };
  const { ref, images, metadata } = await build.solve({ frontend, attributes, inputs });
  const [image] = images;
  const value = image ? { id: ref, definition: definitionOf(image.id) } : { id: ref };
  return { result: { result: { case: 'ref' as const, value }, metadata: { ...metadata } } };
}

const emptyRef = { case: 'ref' as const, value: {} };

async function returned(build: RunningBuild, { result, error }: ReturnRequest) {
  if (error) build.failed(error.message);
  else build.returned(refOf(result));
  return {};
}

function refOf(result: ReturnRequest['result']): string | undefined {
  const ref = result?.result.case === 'ref' ? result.result.value.id : '';
  return ref === '' ? undefined : ref;
}
