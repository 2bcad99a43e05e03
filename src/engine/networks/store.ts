import type { IPAM, StringMap } from '#api-types';
import type { Metadata } from '#metadata';
import type { NetworkSpec } from '#network';

/** A user's network as stored. */
export interface StoredNetwork {
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  readonly spec: Omit<NetworkSpec, 'createdAt'>;
  /** As the user gave it; what was chosen for him stands in `spec`. */
  readonly ipam: IPAM;
  readonly options: StringMap | null;
  readonly labels: StringMap | null;
  readonly attachable: boolean;
}

export function storedNetwork(metadata: Metadata, id: string): StoredNetwork | undefined {
  return metadata.networks.get(id)?.body as StoredNetwork | undefined;
}

/** What the networks of earlier engines are to be again. */
export function networkSpecs(metadata: Metadata): NetworkSpec[] {
  return metadata.networks.list().map(({ body }) => {
    const { spec, created } = body as StoredNetwork;
    return { ...spec, createdAt: new Date(created) };
  });
}
