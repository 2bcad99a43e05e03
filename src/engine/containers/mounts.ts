import type { ContainerConfig, ContainerCreateOptions, HostConfig } from '#api-types';
import { EngineError } from '#errdefs';
import { parseBind } from './bind-syntax.ts';
import { parseMountOptions } from './mount-options.ts';
import { anonymousVolume, cleanDestination } from './planned-mount.ts';
import type { PlannedMount } from './record.ts';
import type { VolumeWish } from './volume-plan.ts';

const invalid = (message: string) => new EngineError('invalid-argument', message);

/** What a container is to have mounted; nothing is made yet. */
export interface MountDecision {
  /** The sources of volumes are filled in once the volumes are there. */
  readonly mounts: readonly PlannedMount[];
  readonly wishes: readonly VolumeWish[];
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
  const claim = (mount: PlannedMount, asked = mount.destination) => {
    if (taken.has(mount.destination)) throw invalid(`Duplicate mount point: ${asked}`);
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
    claim(parsed.mount, options.Target);
    if (parsed.mount.kind === 'volume') {
      const { Labels: labels = null, DriverConfig: config } = options.VolumeOptions ?? {};
      const chosen = config ? { driver: { name: config.Name ?? '', options: config.Options ?? null } } : {};
      wishes.push({ plan: parsed.mount, labels, copyUp: parsed.copyUp, ...chosen });
    }
  }
  for (const [destination, options] of Object.entries(host.Tmpfs ?? {})) {
    if (!destination.startsWith('/')) throw invalid(`invalid mount path: '${destination}' mount path must be absolute`);
    const clean = cleanDestination(destination);
    if (clean === '/') throw invalid("invalid specification: destination can't be '/'");
    // One of `Mounts` at the same place covers it.
    if (taken.get(clean)?.kind === 'tmpfs') continue;
    claim({ kind: 'tmpfs', destination: clean, options: options.split(','), listed: false });
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
