import type { AuthConfig, VolumeCreateConfig } from '#api-types';
import { map, object, string } from '../decode.ts';
import { isObject, type JsonValue } from '../go-json.ts';

export const authConfig = object<AuthConfig>('registry.AuthConfig', {
  username: string(),
  password: string(),
  auth: string(),
  email: string(),
  serveraddress: string(),
  identitytoken: string(),
  registrytoken: string(),
});

/** What is asked first of who makes or joins a swarm. */
export const swarmAddress = object<{ readonly ListenAddr?: string }>('swarm.InitRequest', { ListenAddr: string() });

/** `POST /volumes/create`. `ClusterVolumeSpec` is swarm's: kept only to be refused by name. */
export const volumeCreate = object<VolumeCreateConfig & { readonly ClusterVolumeSpec?: JsonValue }>(
  'volume.CreateOptions',
  {
    Name: string(),
    Driver: string(),
    DriverOpts: map(string()),
    Labels: map(string()),
    ClusterVolumeSpec: {
      goType: 'volume.ClusterVolumeSpec',
      decode: (value) => (isObject(value) ? value : {}),
    },
  },
);
