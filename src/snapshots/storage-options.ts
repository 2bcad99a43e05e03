import { parseSize } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import type { ErofsBacking } from '#mount';
import type { DriverName } from './types.ts';

/** `--storage-opt` of the daemon: `driver.option`, as Docker names them. */
export interface StorageOptions {
  /** `erofs.backing`: how the kernel reads layers; tried in turn where it is not said. */
  readonly backing: ErofsBacking | undefined;
  /** `erofs.directio`: layers are read past the page cache of their tars. */
  readonly directIO: boolean;
  /** `size`: what the writable layer of a container may hold that does not say. */
  readonly sizeLimitBytes: number | undefined;
}

/** What `driver` makes of them. @throws `invalid-argument` for one that is not its own, or that makes no sense. */
export function readStorageOptions(options: Readonly<Record<string, string>>, driver: DriverName): StorageOptions {
  let [backing, sizeLimitBytes]: [ErofsBacking | undefined, number | undefined] = [undefined, undefined];
  let directIO = false;
  for (const [key, value] of Object.entries(options)) {
    if (key === `${driver}.size` && driver !== 'vfs') sizeLimitBytes = sizeOf(key, value);
    else if (key === 'erofs.backing' && driver === 'erofs') backing = backingOf(value);
    else if (key === 'erofs.directio' && driver === 'erofs') directIO = truthOf(key, value);
    else throw new EngineError('invalid-argument', `${driver}: unknown option ${key}`);
  }
  if (directIO && backing === 'loop')
    throw new EngineError('invalid-argument', 'storage option erofs.directio is for layers that are read from files');
  return { backing: directIO ? 'file' : backing, directIO, sizeLimitBytes };
}

function backingOf(value: string): ErofsBacking {
  if (value === 'file' || value === 'loop') return value;
  throw new EngineError('invalid-argument', `storage option erofs.backing=${value}: want file or loop`);
}

function truthOf(key: string, value: string): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  throw new EngineError('invalid-argument', `storage option ${key}=${value}: want true or false`);
}

function sizeOf(key: string, value: string): number {
  try {
    const sizeBytes = parseSize(value);
    if (sizeBytes > 0) return sizeBytes;
  } catch (error) {
    throw new EngineError('invalid-argument', `storage option ${key}: ${messageOf(error)}`, { cause: error });
  }
  throw new EngineError('invalid-argument', `storage option ${key}=${value}: want more than nothing`);
}
