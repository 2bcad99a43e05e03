import { sys } from '#sys';
import { StartError } from './types.ts';

/** Less than a runtime needs for its own files of a container. */
const nothingBytes = 64 << 10;

/** A runtime that cannot write its own files seldom says why: where the disk of its folder is full, the failure says so. */
export function tellFullDisk(failure: StartError, folder: string, freeBytes = freeOn): StartError {
  if (failure.exitCode !== 128 || /no space left/i.test(failure.message)) return failure;
  if (freeBytes(folder) >= nothingBytes) return failure;
  return new StartError(`${failure.message}: no space left on device, ${folder}`, failure.exitCode);
}

function freeOn(folder: string): number {
  const { available, blockSize } = sys.statfs(folder);
  return available * blockSize;
}
