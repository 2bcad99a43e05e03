import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { getSystemErrorMessage } from 'node:util';
import { EngineError, messageOf } from '#errdefs';
import { deviceAt, type OciDevice } from './host-devices.ts';
import type { DeviceRule } from './spec-defaults.ts';

/** A device, or every one below a folder, under the path it has in the container, and what may be done with it. */
export interface DeviceGrant {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly DeviceRule[];
}

/** @throws `internal` in Docker's words when there is no device. */
export function mapDevice(hostPath: string, containerPath: string, permissions: string): DeviceGrant {
  if (!/^[rwm]{1,3}$/.test(permissions)) {
    throw new EngineError('internal', `invalid permissions "${permissions}" of device ${hostPath}`);
  }
  const found = devicesAt(hostPath, containerPath);
  return {
    devices: found,
    rules: found.map(({ type, major, minor }) => ({ allow: true, type, major, minor, access: permissions })),
  };
}

function devicesAt(hostPath: string, containerPath: string): OciDevice[] {
  const real = resolved(hostPath);
  const one = deviceAt(real).map((device) => ({ ...device, path: containerPath }));
  const found = one.length > 0 ? one : devicesBelow(real, containerPath);
  if (found.length === 0) throw noDevice(hostPath, 'not a device node');
  return found;
}

function resolved(hostPath: string): string {
  try {
    return realpathSync(hostPath);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    throw noDevice(hostPath, errno === undefined ? messageOf(error) : getSystemErrorMessage(errno));
  }
}

/** Links among them are not followed. */
function devicesBelow(folder: string, containerPath: string): OciDevice[] {
  let entries: ReturnType<typeof list>;
  try {
    entries = list(folder);
  } catch {
    return []; // no folder, or gone meanwhile
  }
  return entries.flatMap((entry) => {
    const [path, inside] = [join(folder, entry.name), join(containerPath, entry.name)];
    if (entry.isDirectory()) return devicesBelow(path, inside);
    return deviceAt(path).map((device) => ({ ...device, path: inside }));
  });
}

const list = (folder: string) => readdirSync(folder, { withFileTypes: true });

const noDevice = (path: string, reason: string) =>
  new EngineError('internal', `error gathering device information while adding custom device "${path}": ${reason}`);

/** `c 42:* rwm` of `--device-cgroup-rule`. @throws `internal` in Docker's words. */
export function parseDeviceRule(text: string): DeviceRule {
  const [, type, major = '', minor = '', access = ''] = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined) throw new EngineError('internal', `invalid device cgroup rule format: '${text}'`);
  const number = (name: 'major' | 'minor', value: string) => (value === '*' ? {} : { [name]: Number(value) });
  return { allow: true, type: type as 'a' | 'b' | 'c', ...number('major', major), ...number('minor', minor), access };
}
