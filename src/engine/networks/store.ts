import type { IPAM, StringMap } from '#api-types';
import type { Metadata } from '#metadata';
import type { NetworkSpec } from '#network';

/** A user's network as stored. */
export interface StoredNetwork {
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  /** None of a configuration. */
  readonly spec?: Omit<NetworkSpec, 'createdAt'>;
  /** It is one that others are made from, for these families. */
  readonly configuration?: { readonly ipv4: boolean; readonly ipv6: boolean };
  /** The name of the configuration it was made from. */
  readonly configFrom?: string;
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
  return metadata.networks.list().flatMap(({ body }) => {
    const { spec, created } = body as StoredNetwork;
    return spec ? [{ ...spec, createdAt: new Date(created) }] : [];
  });
}
