import { realpathSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { EngineError, messageOf } from '#errdefs';
import { sys } from '#sys';

/** Limits of block devices by their paths. */
export interface BlockLimits {
  readonly weight?: number;
  readonly weightDevices?: readonly { readonly path: string; readonly value: number }[];
  readonly readBps?: readonly { readonly path: string; readonly value: number }[];
  readonly writeBps?: readonly { readonly path: string; readonly value: number }[];
  readonly readIops?: readonly { readonly path: string; readonly value: number }[];
  readonly writeIops?: readonly { readonly path: string; readonly value: number }[];
}

type Throttle = { readonly major: number; readonly minor: number; readonly rate: number };

/** OCI runtime-spec v1.1 config-linux.md §block-io. */
export interface OciBlockIo {
  readonly weight?: number;
  readonly weightDevice?: readonly { readonly major: number; readonly minor: number; readonly weight: number }[];
  readonly throttleReadBpsDevice?: readonly Throttle[];
  readonly throttleWriteBpsDevice?: readonly Throttle[];
  readonly throttleReadIOPSDevice?: readonly Throttle[];
  readonly throttleWriteIOPSDevice?: readonly Throttle[];
}

/** Undefined when nothing is limited. @throws `internal` in Docker's words for a device that is not there. */
export function ociBlockIo(limits: BlockLimits | undefined): OciBlockIo | undefined {
  if (limits === undefined) return undefined;
  const rates = (list: BlockLimits['readBps']) => list?.map(({ path, value }) => ({ ...numbersOf(path), rate: value }));
  const weights = limits.weightDevices?.map(({ path, value }) => ({ ...numbersOf(path), weight: value }));
  const io = {
    weight: limits.weight || undefined,
    weightDevice: weights,
    throttleReadBpsDevice: rates(limits.readBps),
    throttleWriteBpsDevice: rates(limits.writeBps),
    throttleReadIOPSDevice: rates(limits.readIops),
    throttleWriteIOPSDevice: rates(limits.writeIops),
  };
  const asked = Object.entries(io).filter(
    ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
  );
  return asked.length === 0 ? undefined : (Object.fromEntries(asked) as OciBlockIo);
}

/** Through symbolic links, as /dev/disk/by-id has them. */
function numbersOf(path: string): { major: number; minor: number } {
  try {
    const { rdevMajor: major, rdevMinor: minor } = sys.lstat(realpathSync(path));
    return { major, minor };
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    const reason = errno === undefined ? messageOf(error) : getSystemErrorMessage(errno);
    throw new EngineError('internal', `stat ${path}: ${reason}`, { cause: error });
  }
}
