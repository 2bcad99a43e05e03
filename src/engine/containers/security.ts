import type { HostConfig } from '#api-types';
import { EngineError } from '#errdefs';
import { availableCapabilities, defaultCapabilities, knownCapabilities } from './capabilities.ts';
import type { ContainerDefaults } from './container-defaults.ts';

export interface Security {
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Undefined: the daemon's. */
  readonly seccomp: 'unconfined' | 'builtin' | { readonly profile: string } | undefined;
  readonly writableCgroups: boolean;
}

/** The options of a container beside its capabilities, as they stand after the last of each kind. */
interface Options {
  noNewPrivileges: boolean;
  seccomp: Security['seccomp'];
  writableCgroups: boolean;
}

/** AppArmor and SELinux are accepted on machines without them, where they decide nothing: as dockerd does. */
const setters: Readonly<Record<string, (options: Options, value: string) => boolean>> = {
  label: () => true,
  apparmor: () => true,
  seccomp: (options, value) => {
    options.seccomp = value === 'unconfined' || value === 'builtin' ? value : { profile: value };
    return true;
  },
  'no-new-privileges': (options, value) => {
    options.noNewPrivileges = truths.has(value);
    return truths.has(value) || falsehoods.has(value);
  },
  'writable-cgroups': (options, value) => {
    options.writableCgroups = truths.has(value);
    return truths.has(value) || falsehoods.has(value);
  },
};

/** As Go reads a boolean. */
const truths = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const falsehoods = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Capabilities and `SecurityOpt` of a container. @throws in Docker's words: `invalid-argument`, `internal` for an unknown option. */
export function parseSecurity(host: HostConfig, defaults: ContainerDefaults = {}): Security {
  const options: Options = {
    noNewPrivileges: defaults.noNewPrivileges ?? false,
    seccomp: undefined,
    writableCgroups: false,
  };
  for (const option of host.SecurityOpt ?? []) {
    const [, key = '', value] = /^([^=:]*)(?:[=:](.*))?$/s.exec(option) ?? [];
    const alone = value === undefined;
    const known = alone ? key === 'no-new-privileges' : Object.hasOwn(setters, key);
    if (!known || !setters[key]?.(options, value ?? 'true')) {
      throw new EngineError('internal', `invalid --security-opt ${alone ? 1 : 2}: "${option}"`);
    }
  }
  return { ...options, capabilities: host.Privileged ? availableCapabilities() : adjust(host) };
}

function adjust(host: HostConfig): string[] {
  const add = capabilityNames('CapAdd', host.CapAdd);
  const drop = capabilityNames('CapDrop', host.CapDrop);
  const base = drop.includes('ALL') ? [] : defaultCapabilities;
  const start = add.includes('ALL') ? availableCapabilities() : base;
  const dropped = new Set(drop);
  return [...new Set([...start.filter((name) => !dropped.has(name)), ...add.filter((name) => name !== 'ALL')])];
}

function capabilityNames(field: 'CapAdd' | 'CapDrop', given: readonly string[] | null | undefined): string[] {
  return (given ?? []).map((item) => {
    const name = capabilityName(item);
    if (name === 'ALL' || availableCapabilities().includes(name)) return name;
    const reason = knownCapabilities.includes(name)
      ? 'capability not supported by your kernel or not available in the current environment'
      : 'unknown capability';
    throw new EngineError('invalid-argument', `invalid ${field}: ${reason}: "${name}"`);
  });
}

function capabilityName(given: string): string {
  const upper = given.toUpperCase();
  return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
}
