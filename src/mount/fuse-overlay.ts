import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EngineError, messageOf } from '#errdefs';
import type { OverlaySpec } from './types.ts';

const run = promisify(execFile);

/** What its option parser takes for a separator; it knows no way to write them. */
const separators = /[,:\\]/;

/**
 * Mounts a stack of folders by the command `fuse-overlayfs`, which leaves a process that serves the mount until it is unmounted, whatever becomes of this
 * one. Removed names are devices 0/0 in the upper folder and opaque folders have the attribute of overlayfs, or files of its own tell both.
 * @throws `failed-precondition` for paths that cannot be written as its options; `internal` with its words otherwise.
 */
export async function mountFuseOverlay({ lowers, writable, target }: OverlaySpec): Promise<void> {
  const folders = [...lowers, ...(writable ? [writable.upper, writable.work] : [])];
  const unusable = folders.find((path) => separators.test(path));
  if (unusable !== undefined)
    throw new EngineError(
      'failed-precondition',
      `mount ${target}: fuse-overlayfs takes no comma, colon or backslash in a path: ${unusable}`,
    );
  const options = [
    `lowerdir=${lowers.join(':')}`,
    ...(writable ? [`upperdir=${writable.upper}`, `workdir=${writable.work}`] : ['ro']),
    ...(writable?.volatile ? ['volatile'] : []),
    ...mountOptions,
  ];
  try {
    // Its output is taken by nobody, so that the process it leaves holds none of ours open.
    await run('fuse-overlayfs', ['-o', options.join(','), target]);
  } catch (error) {
    throw new EngineError('internal', `mount fuse-overlayfs on ${target}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * As the kernel's overlay is for root: set-id bits and devices count. What is written is in the upper folder at once, because a diff or a commit reads it
 * there.
 */
const mountOptions = ['suid', 'dev', 'writeback=0'];

/** Of its notes about files that it copied up. */
export const fuseAttributePrefix = 'user.fuseoverlayfs.';
