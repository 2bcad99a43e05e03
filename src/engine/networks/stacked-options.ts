import type { NetworkCreateConfig, StringMap } from '#api-types';
import { EngineError } from '#errdefs';
import { type NetworkSpec, type StackedKind, stackedModes } from '#network';
import { mtuOption } from './options.ts';

/** The options of dockerd's macvlan and ipvlan drivers; undefined for others. @throws `internal` in dockerd's words for a bad value. */
export function stackedOptions({ Driver, Options }: NetworkCreateConfig): NetworkSpec['stacked'] {
  if (Driver !== 'macvlan' && Driver !== 'ipvlan') return undefined;
  const options = Options ?? {};
  return { parent: options['parent'] ?? '', kind: Driver === 'macvlan' ? macvlan(options) : ipvlan(options) };
}

function macvlan(options: StringMap): StackedKind {
  return {
    driver: 'macvlan',
    mode: choice('macvlan', 'mode', options['macvlan_mode'], stackedModes.macvlan, 'bridge'),
  };
}

function ipvlan(options: StringMap): StackedKind {
  return {
    driver: 'ipvlan',
    mode: choice('ipvlan', 'mode', options['ipvlan_mode'], stackedModes.ipvlan, 'l2'),
    flag: choice('ipvlan', 'flag', options['ipvlan_flag'], stackedModes.ipvlanFlag, 'bridge'),
  };
}

function choice<T extends string>(
  driver: string,
  what: 'mode' | 'flag',
  value: string | undefined,
  known: readonly T[],
  fallback: T,
): T {
  if (!value) return fallback;
  const found = known.find((name) => name === value);
  if (found !== undefined) return found;
  const usual = what === 'mode' ? `'${fallback}' mode` : `'${fallback}'`;
  throw new EngineError(
    'internal',
    `requested ${driver} ${what} '${value}' is not valid, ${usual} is the ${driver} driver default`,
  );
}

/** What a bridge has and these have not. */
export const stackedSettings = (options: StringMap) => ({
  icc: true,
  masquerade: false,
  hostBindingIP: '',
  ...mtuOption(options),
});
