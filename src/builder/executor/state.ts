import type { StoredLayer } from '#image';
import type { Digest, ImageConfig } from '#oci';

/** The image as it is after a step. Immutable. */
export interface StepState {
  /** Undefined for scratch before its first step. */
  readonly imageID: Digest | undefined;
  readonly config: ImageConfig;
  readonly layers: readonly StoredLayer[];
}
