import type { RegistryAuth, RegistryClient } from '#registry';

/** What a registry is asked with. */
export interface RemoteCall {
  readonly registry: RegistryClient;
  readonly auth?: RegistryAuth | undefined;
  readonly signal?: AbortSignal | undefined;
}
