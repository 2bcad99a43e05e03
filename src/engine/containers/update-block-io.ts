import type { ContainerUpdateConfig, HostConfig } from '#api-types';

const lists = [
  'BlkioWeightDevice',
  'BlkioDeviceReadBps',
  'BlkioDeviceWriteBps',
  'BlkioDeviceReadIOps',
  'BlkioDeviceWriteIOps',
] as const satisfies readonly (keyof HostConfig)[];

type BlockLists = Pick<HostConfig, (typeof lists)[number]>;

/** What an update says of block devices. */
export function blockLimitsOf(wanted: ContainerUpdateConfig): BlockLists & Pick<HostConfig, 'BlkioWeight'> {
  return { ...(wanted.BlkioWeight ? { BlkioWeight: wanted.BlkioWeight } : {}), ...updatedBlockLists(wanted) };
}

/** A container's limits by device after an update: a list takes the place of the one before, an empty one of all; null and absent leave it. */
export function updatedBlockLists(wanted: ContainerUpdateConfig): BlockLists {
  return Object.fromEntries(lists.flatMap((name) => (wanted[name] ? [[name, wanted[name]] as const] : [])));
}

/** The same as the kernel is told it: a device that is limited no more has the limit 0. */
export function changedBlockLists(current: BlockLists, wanted: ContainerUpdateConfig): BlockLists {
  return {
    BlkioWeightDevice: changed(current.BlkioWeightDevice, wanted.BlkioWeightDevice, { Weight: 0 }),
    BlkioDeviceReadBps: changed(current.BlkioDeviceReadBps, wanted.BlkioDeviceReadBps, { Rate: 0 }),
    BlkioDeviceWriteBps: changed(current.BlkioDeviceWriteBps, wanted.BlkioDeviceWriteBps, { Rate: 0 }),
    BlkioDeviceReadIOps: changed(current.BlkioDeviceReadIOps, wanted.BlkioDeviceReadIOps, { Rate: 0 }),
    BlkioDeviceWriteIOps: changed(current.BlkioDeviceWriteIOps, wanted.BlkioDeviceWriteIOps, { Rate: 0 }),
  };
}

function changed<T extends { readonly Path: string }>(
  before: readonly T[] | null | undefined,
  now: readonly T[] | null | undefined,
  none: Omit<T, 'Path'>,
): readonly T[] | null {
  if (!now) return null;
  const lifted = (before ?? []).filter(({ Path }) => !now.some((one) => one.Path === Path));
  return [...lifted.map((one) => ({ ...one, ...none })), ...now];
}
