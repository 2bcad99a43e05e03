import type { IgnoreMatcher } from '../dockerignore.ts';

/** A platform as far as the rules look at it. */
export interface CheckedPlatform {
  readonly os: string;
  readonly architecture: string;
}

/** What a stage starts from. An image's configuration is undefined where it is not known. */
export type CheckedBase =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly stage: number }
  | {
      readonly kind: 'image';
      readonly reference: string;
      /** What the stage asks for; empty is the target's. */
      readonly platform: string;
      readonly image?: {
        readonly env: readonly string[];
        readonly shell: readonly string[];
        readonly triggers: readonly string[];
        readonly platform: CheckedPlatform;
      };
    };

/** What the rules need to know beside the Dockerfile. */
export interface CheckFacts {
  readonly buildArgs: Readonly<Record<string, string | null>>;
  /** `TARGETPLATFORM` and its like. */
  readonly predefined: Readonly<Record<string, string>>;
  readonly targetPlatform: CheckedPlatform;
  readonly bases: ReadonlyMap<number, CheckedBase>;
  /** The stages whose instructions are looked at. */
  readonly checked: ReadonlySet<number>;
  readonly ignored?: IgnoreMatcher;
  readonly isReference: (text: string) => boolean;
  /** Undefined for what is no platform. */
  readonly parsePlatform: (text: string) => CheckedPlatform | undefined;
}
