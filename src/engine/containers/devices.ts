import type { HostConfig } from '#api-types';
import {
  type DeviceRule,
  mapDevice,
  type OciDevice,
  type OciHooks,
  type ProcessSpec,
  parseDeviceRule,
  type SpecMount,
} from '#runtime';
import { type CdiDeviceNode, type CdiEdits, cdiEditsOf, readCdiSpecs } from '../cdi/index.ts';
import type { EngineContext } from '../context.ts';

const defaultCdiFolders = ['/etc/cdi', '/var/run/cdi'];

export const cdiFolders = (ctx: Pick<EngineContext, 'options'>) => ctx.options.cdiSpecDirs ?? defaultCdiFolders;

/** What a container is given of the host's devices, and what comes with them. */
export interface Granted {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly DeviceRule[];
  readonly mounts: readonly SpecMount[];
  readonly env: readonly string[];
  readonly additionalGids: readonly number[];
  readonly hooks?: OciHooks;
}

/** `Devices`, `DeviceCgroupRules`, `DeviceRequests`, looked up at every start. @throws in Docker's words. */
export function grantDevices(ctx: Pick<EngineContext, 'options'>, host: HostConfig): Granted {
  const mapped = (host.Devices ?? []).map((device) =>
    mapDevice(device.PathOnHost, device.PathInContainer || device.PathOnHost, device.CgroupPermissions || 'rwm'),
  );
  const edits = requested(ctx, host);
  const nodes = edits.flatMap((edit) => edit.deviceNodes.map(grantNode));
  const grants = [...mapped, ...nodes];
  const hooks = hooksOf(edits);
  return {
    devices: grants.flatMap((grant) => grant.devices),
    rules: [...grants.flatMap((grant) => grant.rules), ...(host.DeviceCgroupRules ?? []).map(parseDeviceRule)],
    mounts: edits.flatMap((edit) => edit.mounts),
    env: edits.flatMap((edit) => edit.env),
    additionalGids: edits.flatMap((edit) => edit.additionalGids),
    ...(hooks ? { hooks } : {}),
  };
}

function requested(ctx: Pick<EngineContext, 'options'>, host: HostConfig): readonly CdiEdits[] {
  if (!host.DeviceRequests?.length) return [];
  const folders = cdiFolders(ctx);
  return cdiEditsOf(host.DeviceRequests, readCdiSpecs(folders), folders);
}

function grantNode(node: CdiDeviceNode) {
  const grant = mapDevice(node.hostPath, node.path, node.permissions);
  const { uid, gid, fileMode } = node;
  const own = {
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(fileMode === undefined ? {} : { fileMode }),
  };
  return { ...grant, devices: grant.devices.map((device) => ({ ...device, ...own })) };
}

function hooksOf(edits: readonly CdiEdits[]): OciHooks | undefined {
  const hooks: Record<string, OciHooks[string][number][]> = {};
  for (const { name, path, args, env, timeoutSeconds } of edits.flatMap((edit) => edit.hooks)) {
    (hooks[name] ??= []).push({
      path,
      ...(args.length > 0 ? { args } : {}),
      ...(env.length > 0 ? { env } : {}),
      ...(timeoutSeconds === undefined ? {} : { timeout: timeoutSeconds }),
    });
  }
  return Object.keys(hooks).length > 0 ? hooks : undefined;
}

/** A variable that comes with a device replaces the container's own. */
export function withGrants(process: ProcessSpec, granted: Granted): ProcessSpec {
  const nameOf = (variable: string) => variable.split('=', 1)[0];
  const names = new Set(granted.env.map(nameOf));
  return {
    ...process,
    env: [...process.env.filter((variable) => !names.has(nameOf(variable))), ...granted.env],
    additionalGids: [...new Set([...process.additionalGids, ...granted.additionalGids])],
  };
}
