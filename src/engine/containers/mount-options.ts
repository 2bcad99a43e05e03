import { existsSync, mkdirSync } from 'node:fs';
import { posix } from 'node:path';
import type { MountOptions } from '#api-types';
import { EngineError } from '#errdefs';
import { checkVolumeName } from '#volume';
import {
  anonymousVolume,
  cleanDestination,
  notBothWays,
  type ParsedMount,
  propagations,
  sharesMounts,
} from './planned-mount.ts';
import type { PlannedMount } from './record.ts';

const invalid = (message: string) => new EngineError('invalid-argument', message);

/** One of `HostConfig.Mounts`. @throws `invalid-argument` in Docker's words. */
export function parseMountOptions(options: MountOptions, readOnlyNonRecursive: boolean): ParsedMount {
  const target = options.Target ?? '';
  const type = options.Type ?? 'volume';
  const fault = (message: string) => invalid(`invalid mount config for type "${type}": ${message}`);
  checkOptionKinds(options, type);
  if (target === '') throw fault('field Target must not be empty');
  if (!target.startsWith('/')) throw fault(`invalid mount path: '${target}' mount path must be absolute`);
  const destination = cleanDestination(target);
  if (destination === '/') throw fault("invalid specification: destination can't be '/'");
  const readOnly = options.ReadOnly ?? false;
  switch (type) {
    case 'bind':
      return {
        copyUp: false,
        mount: {
          ...bindFromOptions(options, destination, readOnly, fault),
          ...(readOnlyNonRecursive ? { readOnlyNonRecursive } : {}),
        },
      };
    case 'tmpfs':
      if (options.Source) throw fault('field Source must not be specified');
      return {
        copyUp: false,
        mount: { kind: 'tmpfs', destination, options: tmpfsMountOptions(options, fault), listed: true },
      };
    case 'volume': {
      const source = options.Source ?? '';
      const subpath = options.VolumeOptions?.Subpath ?? '';
      if (source === '' && subpath !== '') throw fault('must not set Subpath when using anonymous volumes');
      if (subpath !== '' && !isLocal(subpath)) throw fault('subpath must be a relative path within the volume');
      const part = subpath === '' ? {} : { subpath };
      const copyUp = !options.VolumeOptions?.NoCopy && subpath === '';
      if (source === '' && readOnly) throw fault('must not set ReadOnly mode when using anonymous volumes');
      if (source === '') return { copyUp, mount: { ...anonymousVolume(destination), mode: 'z' } };
      checkVolumeName(source);
      const mount = { ...anonymousVolume(destination), name: source, readOnly, mode: 'z', anonymous: false, ...part };
      return { copyUp, mount };
    }
    case 'image':
      return { copyUp: false, mount: imageFromOptions(options, destination, fault) };
    default:
      throw fault('mount type unknown');
  }
}

const optionKinds = {
  BindOptions: 'bind',
  VolumeOptions: 'volume',
  TmpfsOptions: 'tmpfs',
  ImageOptions: 'image',
} as const;

/** Options of another type of mount would have no effect. */
function checkOptionKinds(options: MountOptions, type: string): void {
  for (const [field, kind] of Object.entries(optionKinds)) {
    if (kind === type || !options[field as keyof typeof optionKinds]) continue;
    throw invalid(`${field} must not be specified on mount type "${type}"`);
  }
}

function bindFromOptions(
  options: MountOptions,
  destination: string,
  readOnly: boolean,
  fault: (message: string) => EngineError,
): Extract<PlannedMount, { kind: 'bind' }> {
  const source = options.Source ?? '';
  if (source === '') throw fault('field Source must not be empty');
  if (!source.startsWith('/')) throw fault(`invalid mount path: '${source}' mount path must be absolute`);
  if (!existsSync(source)) {
    if (!options.BindOptions?.CreateMountpoint) throw fault(`bind source path does not exist: ${source}`);
    mkdirSync(source, { recursive: true });
  }
  const { propagation, idmap } = bindPropagation(options.BindOptions?.Propagation ?? '', fault);
  const recursive = !options.BindOptions?.NonRecursive;
  const readOnlyNonRecursive = options.BindOptions?.ReadOnlyNonRecursive ?? false;
  return {
    kind: 'bind',
    source: posix.normalize(source),
    destination,
    mode: '',
    readOnly,
    propagation,
    recursive,
    readOnlyNonRecursive,
    ...(idmap ? { idmap } : {}),
  };
}

/** `rslave`, `idmap`, `rslave,idmap`. dockerd refuses the word, so who asks for it there does not get a bind without it. */
function bindPropagation(asked: string, fault: (message: string) => EngineError) {
  const words = asked === '' ? [] : asked.split(',');
  const others = words.filter((word) => word !== 'idmap');
  const [propagation = 'rprivate'] = others;
  const isRepeated = others.length > 1 || words.length > others.length + 1;
  if (isRepeated || !propagations.has(propagation)) throw fault(`invalid propagation mode: ${asked}`);
  const idmap = words.length > others.length;
  if (idmap && sharesMounts(propagation)) throw fault(`invalid propagation mode: ${asked}: ${notBothWays}`);
  return { propagation, idmap: idmap ? (true as const) : undefined };
}

/** Which image it is, is found out later. */
function imageFromOptions(
  options: MountOptions,
  destination: string,
  fault: (message: string) => EngineError,
): Extract<PlannedMount, { kind: 'image' }> {
  const name = options.Source ?? '';
  if (name === '') throw fault('field Source must not be empty');
  const subpath = options.ImageOptions?.Subpath ?? '';
  if (subpath !== '' && !isLocal(subpath)) throw fault('subpath must be a relative path within the volume');
  const part = subpath === '' ? {} : { subpath };
  return { kind: 'image', name, chain: [], source: '', destination, mode: '', readOnly: true, ...part };
}

const tmpfsFlags = new Set(['exec', 'noexec']);

function tmpfsMountOptions(options: MountOptions, fault: (message: string) => EngineError): string[] {
  const flags = (options.TmpfsOptions?.Options ?? []).map((option) => {
    if (option.length === 0 || option.length > 2) throw fault('invalid option array length');
    if (!tmpfsFlags.has(option[0]!)) throw fault(`invalid option: ${option[0]}`);
    return option.join('=');
  });
  const size = options.TmpfsOptions?.SizeBytes ?? 0;
  const mode = options.TmpfsOptions?.Mode;
  return [
    ...flags,
    ...(options.ReadOnly ? ['ro'] : []),
    ...(size > 0 ? [`size=${size}`] : []),
    ...(mode === undefined || mode === 0 ? [] : [`mode=${mode.toString(8).padStart(4, '0')}`]),
  ];
}

/** A path that stays below where it starts, told by its text. */
function isLocal(path: string): boolean {
  if (path.startsWith('/')) return false;
  const clean = posix.normalize(path);
  return clean !== '..' && !clean.startsWith('../');
}
