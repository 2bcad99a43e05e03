import { readSync, writeSync } from 'node:fs';
import { EngineError, isErrno } from '#errdefs';
import { sys } from '#sys';

const bufferBytes = 1 << 20;
/** What copy_file_range answers where two filesystems cannot do it between them. */
const unsupported = ['EXDEV', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'];

/** Copies a run of bytes between files, in the kernel where it can. Blocking. @throws `data-loss` when the source is shorter. */
export function copyData(
  from: { readonly fd: number; readonly offset: number },
  to: { readonly fd: number; readonly offset: number },
  lengthBytes: number,
): void {
  const copied = copyInKernel(from, to, lengthBytes);
  if (copied < lengthBytes) copyThroughBuffer(from, to, copied, lengthBytes);
}

type Place = { readonly fd: number; readonly offset: number };

function copyInKernel(from: Place, to: Place, lengthBytes: number): number {
  try {
    return sys.copyRange(from.fd, from.offset, to.fd, to.offset, lengthBytes);
  } catch (error) {
    if (unsupported.some((code) => isErrno(error, code))) return 0;
    throw error;
  }
}

function copyThroughBuffer(from: Place, to: Place, copied: number, lengthBytes: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(bufferBytes, lengthBytes - copied));
  for (let at = copied; at < lengthBytes; ) {
    const size = readSync(from.fd, buffer, 0, Math.min(buffer.length, lengthBytes - at), from.offset + at);
    if (size === 0) throw new EngineError('data-loss', 'copy file data: the source ended early');
    for (let written = 0; written < size; ) {
      written += writeSync(to.fd, buffer, written, size - written, to.offset + at + written);
    }
    at += size;
  }
}
