import { type HostConfig, parseSize } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import type { SnapshotDriver } from '#snapshots';

/**
 * What `--storage-opt size=` lets a container write to its root.
 * @throws `internal`, as dockerd does, for other options, what is no size, and a driver that cannot.
 */
export function sizeLimitOf(
  host: Pick<HostConfig, 'StorageOpt'>,
  driver: Pick<SnapshotDriver, 'name' | 'sizeLimitRefusal'>,
): number | undefined {
  let limit: number | undefined;
  for (const [name, value] of Object.entries(host.StorageOpt ?? {})) {
    if (name.toLowerCase() !== 'size') throw new EngineError('internal', `Unknown option ${name}`);
    const refusal = driver.sizeLimitRefusal();
    if (refusal !== undefined) {
      throw new EngineError(
        'internal',
        `--storage-opt size is not supported by the storage driver ${driver.name} here: ${refusal}`,
      );
    }
    limit = sizeOf(value);
  }
  return limit;
}

function sizeOf(value: string): number | undefined {
  try {
    // No limit at all, as with dockerd.
    return parseSize(value) || undefined;
  } catch (error) {
    throw new EngineError('internal', messageOf(error), { cause: error });
  }
}
