import type { StringMap } from './common.ts';

export interface Volume {
  readonly CreatedAt?: string;
  readonly Driver: string;
  readonly Labels: StringMap | null;
  readonly Mountpoint: string;
  readonly Name: string;
  readonly Options: StringMap | null;
  readonly Scope: 'local' | 'global';
  readonly Status?: Readonly<Record<string, unknown>>;
  /** Only in `GET /system/df`; -1 is "not computed". */
  readonly UsageData?: { readonly RefCount: number; readonly Size: number } | null;
}

export interface VolumeCreateConfig {
  readonly Name?: string;
  readonly Driver?: string;
  readonly DriverOpts?: StringMap | null;
  readonly Labels?: StringMap | null;
}

export interface VolumeList {
  readonly Volumes: readonly Volume[];
  readonly Warnings: readonly string[] | null;
}

export interface VolumesPruned {
  readonly VolumesDeleted: readonly string[];
  readonly SpaceReclaimed: number;
}
