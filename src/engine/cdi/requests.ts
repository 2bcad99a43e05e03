import type { DeviceRequest } from '#api-types';
import { EngineError } from '#errdefs';
import { resolveCdiDevices } from './registry.ts';
import type { CdiEdits, CdiSpec } from './types.ts';

const failed = (message: string) => new EngineError('internal', message);

/** Vendors whose devices `--gpus` means, the first that is there. */
const gpuKinds = ['nvidia.com/gpu', 'amd.com/gpu', 'intel.com/gpu'];
const gpuDrivers: Readonly<Record<string, string>> = { nvidia: 'nvidia.com/gpu', 'amd.com': 'amd.com/gpu' };

/** What `--device vendor/class=name` and `--gpus` ask for. @throws in Docker's words when a device is not there. */
export function cdiEditsOf(
  requests: readonly DeviceRequest[],
  specs: readonly CdiSpec[],
  folders: readonly string[],
): readonly CdiEdits[] {
  const names = requests.flatMap((request) =>
    request.Driver === 'cdi' ? cdiNames(request) : gpuNames(request, specs, folders),
  );
  const { edits, unknown } = resolveCdiDevices(specs, [...new Set(names)]);
  if (unknown.length > 0) throw failed(`CDI device injection failed: unresolvable CDI devices ${unknown.join(', ')}`);
  return edits;
}

function cdiNames(request: DeviceRequest): readonly string[] {
  if (request.Count) throw failed('unexpected count in CDI device request');
  if (Object.keys(request.Options ?? {}).length > 0) throw failed('unexpected options in CDI device request');
  return request.DeviceIDs ?? [];
}

/** `--gpus 2` are the first two; `--gpus device=0,UUID` those by name; `--gpus all` has a name of its own in specifications. */
function gpuNames(request: DeviceRequest, specs: readonly CdiSpec[], folders: readonly string[]): readonly string[] {
  const spec = gpuSpec(request, specs);
  if (spec === undefined) throw noDriver(request, folders);
  const ids = request.DeviceIDs ?? [];
  if (ids.length > 0) return ids.map((id) => `${spec.kind}=${id}`);
  const count = request.Count ?? 0;
  const numbered = [...spec.devices.keys()].filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(a) - Number(b));
  if (count < 0)
    return (spec.devices.has('all') ? ['all'] : [...spec.devices.keys()]).map((name) => `${spec.kind}=${name}`);
  if (count > numbered.length) {
    throw failed(`could not select ${count} devices of ${spec.kind}: the CDI specification has ${numbered.length}`);
  }
  return numbered.slice(0, count).map((name) => `${spec.kind}=${name}`);
}

function gpuSpec(request: DeviceRequest, specs: readonly CdiSpec[]): CdiSpec | undefined {
  const driver = request.Driver ?? '';
  if (driver === '' && !(request.Capabilities ?? []).some((set) => set.includes('gpu'))) return undefined;
  const kinds = driver === '' ? gpuKinds : [gpuDrivers[driver]];
  return kinds.map((kind) => specs.findLast((spec) => spec.kind === kind)).find((spec) => spec !== undefined);
}

/** dockerd's words, and where a driver would have come from. */
function noDriver({ Driver = '', Capabilities }: DeviceRequest, folders: readonly string[]): EngineError {
  const capabilities = (Capabilities ?? []).map((set) => `[${set.join(' ')}]`).join(' ');
  const gpu = (Capabilities ?? []).some((set) => set.includes('gpu'));
  const hint = gpu ? `: no CDI specification of a GPU in ${folders.join(', ')}` : '';
  return failed(`could not select device driver "${Driver}" with capabilities: [${capabilities}]${hint}`);
}
