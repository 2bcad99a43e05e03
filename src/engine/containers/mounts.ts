import { chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import type { ContainerConfig, ContainerCreateOptions, HostConfig, MountOptions, MountPoint } from '#api-types';
import { EngineError } from '#errdefs';
import type { SpecMount } from '#runtime';
import type { EngineContext } from '../context.ts';
import { newID } from '../ids.ts';
import type { Owner } from '../remap/index.ts';
import { checkPropagation } from './propagation.ts';
import type { PlannedMount } from './record.ts';
import { tmpfsOptions } from './tmpfs-options.ts';

const volumeNamePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const propagations = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);

const invalid = (message: string) => new EngineError('invalid-argument', message);

/** A volume the plan needs and may have to be made. */
interface VolumeWish {
  readonly plan: Extract<PlannedMount, { kind: 'volume' }>;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly copyUp: boolean;
  readonly driver?: { readonly name: string; readonly options?: Readonly<Record<string, string>> | null };
}

/** What a container is to have mounted; nothing is made yet. */
export interface MountDecision {
  /** The sources of volumes are filled in once the volumes are there. */
  readonly mounts: readonly PlannedMount[];
  readonly wishes: readonly VolumeWish[];
}

export interface MountPlan {
  readonly mounts: readonly PlannedMount[];
  /** Fresh volumes to be filled from the image at the mount's path. */
  readonly copyUps: readonly { readonly volume: string; readonly destination: string }[];
}

/** Decides every mount of a container: binds, `Mounts`, `Tmpfs`, the image's volumes, and where none of these is, what it has from others. @throws `invalid-argument` in Docker's words. */
export function decideMounts(
  config: ContainerConfig,
  host: HostConfig,
  { readOnlyNonRecursive = false }: Pick<ContainerCreateOptions, 'readOnlyNonRecursive'> = {},
  inherited: ReadonlyMap<string, PlannedMount> = new Map(),
): MountDecision {
  const taken = new Map<string, PlannedMount>();
  const wishes: VolumeWish[] = [];
  const driver = host.VolumeDriver ? { driver: { name: host.VolumeDriver } } : {};
  const claim = (mount: PlannedMount) => {
    if (taken.has(mount.destination)) throw invalid(`Duplicate mount point: ${mount.destination}`);
    taken.set(mount.destination, mount);
  };
  for (const bind of host.Binds ?? []) {
    const parsed = parseBind(bind, readOnlyNonRecursive);
    claim(parsed.mount);
    if (parsed.mount.kind === 'volume')
      wishes.push({ plan: parsed.mount, labels: null, copyUp: parsed.copyUp, ...driver });
  }
  for (const options of host.Mounts ?? []) {
    const parsed = parseMountOptions(options, readOnlyNonRecursive);
    claim(parsed.mount);
    if (parsed.mount.kind === 'volume') {
      const { Labels: labels = null, DriverConfig: config } = options.VolumeOptions ?? {};
      const chosen = config ? { driver: { name: config.Name ?? '', options: config.Options ?? null } } : {};
      wishes.push({ plan: parsed.mount, labels, copyUp: parsed.copyUp, ...chosen });
    }
  }
  for (const [destination, options] of Object.entries(host.Tmpfs ?? {})) {
    if (!destination.startsWith('/')) throw invalid(`invalid mount path: '${destination}' mount path must be absolute`);
    claim({ kind: 'tmpfs', destination: cleanDestination(destination), options: tmpfsOptions(options), listed: false });
  }
  for (const destination of Object.keys(config.Volumes ?? {})) {
    const clean = cleanDestination(destination);
    if (taken.has(clean) || inherited.has(clean)) continue;
    const plan = anonymousVolume(clean);
    claim(plan);
    wishes.push({ plan, labels: null, copyUp: true, ...driver });
  }
  return { mounts: [...new Map([...inherited, ...taken]).values()], wishes };
}

/** Names of the volumes that are a container's own: made for it, and removed with it on `rm -v` and `--rm`. */
export function ownVolumes(mounts: readonly PlannedMount[]): string[] {
  return mounts.flatMap((mount) => (mount.kind === 'volume' && mount.anonymous ? [mount.name] : []));
}

/** Makes the volumes that were decided on and are not there yet. */
export async function makeVolumes(ctx: EngineContext, { mounts, wishes }: MountDecision): Promise<MountPlan> {
  const sources = new Map<string, string>();
  const copyUps: { volume: string; destination: string }[] = [];
  for (const wish of wishes) {
    const { plan, copyUp } = wish;
    const existing = ctx.volumes.find(plan.name);
    const volume = existing ?? (await createVolume(ctx, wish));
    sources.set(plan.name, volume.mountpoint);
    if (copyUp) copyUps.push({ volume: plan.name, destination: plan.destination });
  }
  return {
    mounts: mounts.map((mount) =>
      mount.kind === 'volume' ? { ...mount, source: sources.get(mount.name) ?? mount.source } : mount,
    ),
    copyUps,
  };
}

async function createVolume(ctx: EngineContext, { plan, labels, driver }: VolumeWish) {
  const anonymousLabels = plan.anonymous ? { 'com.docker.volume.anonymous': '' } : null;
  const volume = await ctx.volumes.create({
    name: plan.name,
    labels: labels ?? anonymousLabels,
    anonymous: plan.anonymous,
    driver: driver?.name || 'local',
    options: driver?.options ?? null,
  });
  ctx.events.emit({ type: 'volume', action: 'create', id: plan.name, attributes: { driver: 'local' } });
  return volume;
}

function anonymousVolume(destination: string): VolumeWish['plan'] {
  return { kind: 'volume', name: newID(), source: '', destination, mode: '', readOnly: false, anonymous: true };
}

const badVolumeName = (name: string) =>
  invalid(
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );

interface ParsedMount {
  readonly mount: PlannedMount;
  readonly copyUp: boolean;
}

/** `source:destination[:mode]` or `name:destination[:mode]`. @throws `invalid-argument` in Docker's words. */
function parseBind(spec: string, readOnlyNonRecursive: boolean): ParsedMount {
  const parts = spec.split(':');
  if (parts.length < 2 || parts.length > 3 || parts.some((part) => part === '')) {
    throw invalid(`invalid volume specification: '${spec}'`);
  }
  const [source = '', destination = '', mode = ''] = parts;
  if (!destination.startsWith('/')) {
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "bind": invalid mount path: '${destination}' mount path must be absolute`,
    );
  }
  if (posix.normalize(destination) === '/') {
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
    );
  }
  const modes = parseModes(mode, spec);
  if (source.startsWith('/')) {
    return {
      copyUp: false,
      mount: {
        kind: 'bind',
        source: posix.normalize(source),
        destination: cleanDestination(destination),
        mode,
        readOnly: modes.readOnly,
        propagation: modes.propagation || 'rprivate',
        recursive: true,
        readOnlyNonRecursive,
        ...(modes.idmap ? { idmap: true as const } : {}),
      },
    };
  }
  if (!volumeNamePattern.test(source)) {
    throw badVolumeName(source);
  }
  return {
    copyUp: !modes.noCopy,
    mount: {
      kind: 'volume',
      name: source,
      source: '',
      destination: cleanDestination(destination),
      mode: mode === '' ? 'z' : mode,
      readOnly: modes.readOnly,
      anonymous: false,
    },
  };
}

const modeKinds: readonly (readonly [kind: 'access' | 'label' | 'copy' | 'idmap', words: readonly string[]])[] = [
  ['idmap', ['idmap']],
  ['access', ['ro', 'rw']],
  ['label', ['z', 'Z']],
  ['copy', ['nocopy']],
];

/** `ro,rslave`: at most one word of a kind. */
function parseModes(
  mode: string,
  spec: string,
): { readOnly: boolean; noCopy: boolean; propagation: string; idmap: boolean } {
  const chosen = new Map<string, string>();
  for (const word of mode === '' ? [] : mode.split(',')) {
    const kind = propagations.has(word) ? 'propagation' : modeKinds.find(([, words]) => words.includes(word))?.[0];
    if (kind === undefined || chosen.has(kind)) throw invalid(`invalid mode: ${mode}`);
    chosen.set(kind, word);
  }
  const noCopy = chosen.has('copy');
  if (noCopy && spec.startsWith('/')) throw invalid(`invalid mode: ${mode}`);
  const idmap = chosen.has('idmap');
  if (idmap && !spec.startsWith('/')) throw invalid(`invalid mode: ${mode}`);
  return { readOnly: chosen.get('access') === 'ro', noCopy, propagation: chosen.get('propagation') ?? '', idmap };
}

function parseMountOptions(options: MountOptions, readOnlyNonRecursive: boolean): ParsedMount {
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
      if (subpath !== '' && !isLocal(subpath)) throw fault('subpath must be a relative path within the volume');
      const part = subpath === '' ? {} : { subpath };
      const copyUp = !options.VolumeOptions?.NoCopy && subpath === '';
      if (source === '') return { copyUp, mount: { ...anonymousVolume(destination), readOnly, ...part } };
      if (!volumeNamePattern.test(source)) {
        throw badVolumeName(source);
      }
      const mount = { ...anonymousVolume(destination), name: source, readOnly, mode: 'z', anonymous: false, ...part };
      return { copyUp, mount };
    }
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
  const propagation = options.BindOptions?.Propagation || 'rprivate';
  if (!propagations.has(propagation)) throw fault(`invalid propagation mode: ${propagation}`);
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
  };
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
    ...tmpfsOptions(flags.join(',')),
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

const cleanDestination = (path: string) => posix.normalize(path).replace(/(?<=.)\/$/, '');

/** Mounts for the runtime, shallow destinations first so that nested ones land inside. Missing bind sources are made, as `-v` does. */
export function specMounts(
  mounts: readonly PlannedMount[],
  held: ReadonlyMap<string, string> = new Map(),
  owner: Owner = { uid: 0, gid: 0 },
): SpecMount[] {
  const sorted = [...mounts].sort((a, b) => depth(a.destination) - depth(b.destination));
  return sorted.map((mount): SpecMount => {
    switch (mount.kind) {
      case 'tmpfs':
        return { destination: mount.destination, type: 'tmpfs', source: 'tmpfs', options: mount.options };
      case 'volume':
        return {
          destination: mount.destination,
          type: 'bind',
          source: held.get(mount.destination) ?? mount.source,
          options: bindOptions({
            ...mount,
            source: held.get(mount.destination) ?? mount.source,
            propagation: 'rprivate',
            recursive: true,
          }),
        };
      case 'bind':
        makeSource(mount.source, owner);
        checkPropagation(mount.source, mount.propagation);
        return {
          destination: mount.destination,
          type: 'bind',
          source: held.get(mount.destination) ?? mount.source,
          options: bindOptions(mount),
        };
      default:
        return mount satisfies never;
    }
  });
}

/** A bind's source that is not there becomes a folder of the container's root. */
function makeSource(path: string, { uid, gid }: Owner): void {
  if (existsSync(path)) return;
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined || uid === 0) return;
  for (let at = path; at.length >= first.length; at = posix.dirname(at)) chownSync(at, uid, gid);
}

const depth = (path: string) => path.split('/').length;

type BindAccess = Pick<
  Extract<PlannedMount, { kind: 'bind' }>,
  'source' | 'propagation' | 'readOnly' | 'recursive' | 'readOnlyNonRecursive'
>;

function bindOptions({ source, propagation, readOnly, recursive, readOnlyNonRecursive }: BindAccess): string[] {
  if (!readOnly) return [recursive ? 'rbind' : 'bind', 'rw', propagation];
  // What is mounted below a read-only bind is not writable through it either, unless asked for. Nothing is mounted
  // below a file, and crun opens the target of `rro` as a folder.
  const deep = recursive && !readOnlyNonRecursive && statSync(source).isDirectory();
  const access = deep ? ['ro', 'rro'] : ['ro'];
  return [recursive ? 'rbind' : 'bind', ...access, propagation];
}

/** The `Mounts` of inspect and list. */
export function mountPoints(mounts: readonly PlannedMount[]): MountPoint[] {
  return mounts.flatMap((mount): MountPoint[] => {
    switch (mount.kind) {
      case 'tmpfs':
        return mount.listed
          ? [
              {
                Type: 'tmpfs',
                Source: '',
                Destination: mount.destination,
                Mode: '',
                RW: !mount.options.includes('ro'),
                Propagation: '',
              },
            ]
          : [];
      case 'volume':
        return [
          {
            Type: 'volume',
            Name: mount.name,
            Source: mount.source,
            Destination: mount.destination,
            Driver: 'local',
            Mode: mount.mode,
            RW: !mount.readOnly,
            Propagation: '',
          },
        ];
      case 'bind':
        return [
          {
            Type: 'bind',
            Source: mount.source,
            Destination: mount.destination,
            Mode: mount.mode,
            RW: !mount.readOnly,
            Propagation: mount.propagation,
          },
        ];
      default:
        return mount satisfies never;
    }
  });
}
