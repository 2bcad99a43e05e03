import type { HostConfig } from '#api-types';
import { EngineError } from '#errdefs';
import { availableCapabilities, defaultCapabilities, knownCapabilities } from './capabilities.ts';

export interface Security {
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly seccomp: 'unconfined' | undefined;
}

/** Capabilities and `SecurityOpt` of a container. @throws `invalid-argument` in Docker's words. */
export function parseSecurity(host: HostConfig): Security {
  let noNewPrivileges = false;
  let seccomp: Security['seccomp'] = host.Privileged ? 'unconfined' : undefined;
  for (const option of host.SecurityOpt ?? []) {
    const [, key = '', value] = /^([^=:]*)(?:[=:](.*))?$/s.exec(option) ?? [];
    if (key === 'no-new-privileges' && (value === undefined || value === 'true')) noNewPrivileges = true;
    else if (key === 'no-new-privileges' && value === 'false') noNewPrivileges = false;
    else if (key === 'seccomp' && value === 'builtin') seccomp = undefined;
    else if (key === 'seccomp' && value === 'unconfined') seccomp = 'unconfined';
    else if (key === 'seccomp')
      throw new EngineError('not-implemented', `security-opt ${key}: custom seccomp profiles are not supported yet`);
    else if (key === 'writable-cgroups' && value !== 'false')
      throw new EngineError('not-implemented', `security-opt ${key} is not supported yet`);
    else if (key === 'writable-cgroups') continue;
    else if (!(key === 'label' || key === 'apparmor' || (key === 'systempaths' && value === 'unconfined'))) {
      throw new EngineError('invalid-argument', `invalid --security-opt ${value === undefined ? 1 : 2}: "${option}"`);
    }
  }
  return { capabilities: host.Privileged ? availableCapabilities() : adjust(host), noNewPrivileges, seccomp };
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
