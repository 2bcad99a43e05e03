import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, isErrno, messageOf } from '#errdefs';
import { mountAttr, mountFlags, sys, umountFlags } from '#sys';
import { withShortPaths } from './short-paths.ts';
import type { OverlaySpec } from './types.ts';

/** OVL_MAX_STACK: how many lower folders one overlay takes. */
export const overlayDepthLimit = 500;

/** mount(2) copies one page of options, with its closing NUL. */
const mountDataLimitBytes = 4095;

/**
 * Named, because distributions change the defaults: a renamed folder must copy up (a diff knows no redirects) and data must
 * be whole in the upper folder; `xino=on` gives files of every layer one device number, so `du -x` and `find -xdev` see all.
 */
const fixedOptions = [
  ['index', 'off'],
  ['redirect_dir', 'off'],
  ['metacopy', 'off'],
  ['xino', 'on'],
] as const;

/**
 * Mounts an overlay: writable over one lower folder or more, or read-only over two or more.
 * @throws `failed-precondition` when the stack is deeper than the kernel takes; `internal` with the kernel's words otherwise.
 */
export function mountOverlay(spec: OverlaySpec): void {
  if (spec.lowers.length > overlayDepthLimit) {
    throw new EngineError(
      'failed-precondition',
      `mount ${spec.target}: ${spec.lowers.length} layers, the kernel stacks at most ${overlayDepthLimit}`,
    );
  }
  try {
    mountStack(spec);
    requireWritable(spec);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError('internal', `mount overlay on ${spec.target}: ${messageOf(error)}`, { cause: error });
  }
}

/** Where the kernel cannot make its work folder it mounts all the same, to be read only: a container would find that out. */
function requireWritable({ writable, target }: OverlaySpec): void {
  if (!writable || existsSync(join(writable.work, 'work'))) return;
  sys.umount(target, umountFlags.detach);
  const reason = 'the kernel could make no work folder: no space left on device, or the file system is read-only';
  throw new EngineError('unavailable', `mount overlay on ${target}: ${reason}`);
}

function mountStack(spec: OverlaySpec): void {
  const lowers = spec.lowers.map((path) => ['lowerdir+', path] as const);
  try {
    const options = [
      ['source', 'overlay'] as const,
      ...lowers,
      ...writableOptions(pathsOf(spec)),
      ...fixedOptions,
      ...volatileFlag(spec),
    ];
    sys.fsMount('overlay', options, spec.target, spec.writable ? 0 : mountAttr.readOnly);
  } catch (error) {
    if (!lacksAppending(error)) throw error;
    mountInOnePage(spec);
  }
}

/** `lowerdir+` came with Linux 6.8; earlier kernels refuse the name. */
function lacksAppending(error: unknown): boolean {
  return isErrno(error, 'EINVAL') && messageOf(error).includes('lowerdir+');
}

interface StackPaths {
  readonly lowers: readonly string[];
  readonly upper: string | undefined;
  readonly work: string | undefined;
}

function pathsOf(spec: OverlaySpec): StackPaths {
  return { lowers: spec.lowers, upper: spec.writable?.upper, work: spec.writable?.work };
}

function writableOptions({ upper, work }: StackPaths): (readonly [string, string])[] {
  if (upper === undefined || work === undefined) return [];
  return [
    ['upperdir', upper],
    ['workdir', work],
  ];
}

function volatileFlag(spec: OverlaySpec): (readonly [string, null])[] {
  return spec.writable?.volatile ? [['volatile', null]] : [];
}

/** Paths that do not fit are named by descriptors, which are short. */
function mountInOnePage(spec: OverlaySpec): void {
  const paths = pathsOf(spec);
  if (mountJoined(spec, paths)) return;
  const { lowers, upper, work } = paths;
  const all = upper === undefined || work === undefined ? lowers : [...lowers, upper, work];
  const depth = lowers.length;
  const fits = withShortPaths(all, (short) =>
    mountJoined(spec, { lowers: short.slice(0, depth), upper: short[depth], work: short[depth + 1] }),
  );
  if (fits) return;
  throw new EngineError(
    'failed-precondition',
    `mount ${spec.target}: ${depth} layers do not fit one page of mount options, and this kernel is older than 6.8`,
  );
}

/** False when the options are too long for mount(2). */
function mountJoined(spec: OverlaySpec, paths: StackPaths): boolean {
  const lowers = paths.lowers.map(escapeOption).join(':');
  const writable = writableOptions(paths).map(([key, path]) => [key, escapeOption(path)] as const);
  const pairs = [['lowerdir', lowers] as const, ...writable, ...fixedOptions];
  const flags = volatileFlag(spec).map(([name]) => name);
  const data = [...pairs.map((pair) => pair.join('=')), ...flags].join(',');
  if (Buffer.byteLength(data) > mountDataLimitBytes) return false;
  sys.mount('overlay', spec.target, 'overlay', spec.writable ? 0 : mountFlags.readOnly, data);
  return true;
}

/** overlayfs splits options at commas and lower folders at colons; a backslash keeps one. */
function escapeOption(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}
