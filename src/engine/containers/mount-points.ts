import type { MountPoint } from '#api-types';
import type { PlannedMount } from './record.ts';

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
      case 'image':
        return [
          {
            Type: 'image',
            Name: mount.name,
            Source: mount.source,
            Destination: mount.destination,
            Mode: mount.mode,
            RW: !mount.readOnly,
            Propagation: 'rprivate',
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
