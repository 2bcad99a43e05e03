import type { ContainerCreateConfig, RestartPolicy } from '#api-types';
import { parseDurationNs } from '#dockerfile';
import { EngineError, messageOf } from '#errdefs';
import type { FlagSpec, Flags } from '../flags.ts';

/** What happens to a container by itself: checks, and starts after its end. */
export const lifecycleFlags: readonly FlagSpec[] = [
  { name: 'health-cmd', type: 'string', help: 'Command to run to check health' },
  { name: 'health-interval', type: 'string', help: 'Time between running the check' },
  { name: 'health-on-failure', type: 'string', help: 'What to do when unhealthy ("none", "kill", "restart", "stop")' },
  { name: 'health-retries', type: 'int', help: 'Consecutive failures needed to report unhealthy' },
  { name: 'health-start-interval', type: 'string', help: 'Time between running the check during the start period' },
  { name: 'health-start-period', type: 'string', help: 'Start period before failures count' },
  { name: 'health-timeout', type: 'string', help: 'Maximum time to allow one check to run' },
  { name: 'no-healthcheck', type: 'toggle', help: 'Disable any container-specified HEALTHCHECK' },
  { name: 'restart', type: 'string', help: 'Restart policy to apply when a container exits' },
];

/** Docker's API has no field for it, so it travels as a label. */
export function healthLabels(flags: Flags): Record<string, string> {
  const action = flags.text('health-on-failure');
  return action === undefined ? {} : { 'io.wherry.health-on-failure': action };
}

export function healthcheck(flags: Flags): Pick<ContainerCreateConfig, 'Healthcheck'> {
  const command = flags.text('health-cmd');
  const retries = flags.number('health-retries');
  const times = {
    ...duration(flags, 'health-interval', 'Interval'),
    ...duration(flags, 'health-timeout', 'Timeout'),
    ...duration(flags, 'health-start-period', 'StartPeriod'),
    ...duration(flags, 'health-start-interval', 'StartInterval'),
  };
  const given = {
    ...(command === undefined ? {} : { Test: ['CMD-SHELL', command] }),
    ...times,
    ...(retries === undefined ? {} : { Retries: retries }),
  };
  const hasAny = Object.keys(given).length > 0;
  if (!flags.on('no-healthcheck')) return hasAny ? { Healthcheck: given } : {};
  if (hasAny) throw new EngineError('invalid-argument', '--no-healthcheck conflicts with --health-* options');
  return { Healthcheck: { Test: ['NONE'] } };
}

function duration(flags: Flags, name: string, key: string): Record<string, number> {
  const text = flags.text(name);
  if (text === undefined) return {};
  try {
    return { [key]: Number(parseDurationNs(text)) };
  } catch (cause) {
    throw new EngineError('invalid-argument', `invalid argument "${text}" for "--${name}" flag: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** `on-failure:3` and the like. */
export function restartPolicy(flags: Flags): RestartPolicy {
  const [name = '', count, ...more] = (flags.text('restart') ?? 'no').split(':');
  if (more.length > 0 || (count !== undefined && !/^\d+$/.test(count))) {
    throw new EngineError('invalid-argument', 'invalid restart policy format: maximum retry count must be an integer');
  }
  if (flags.on('rm') && name !== 'no') {
    throw new EngineError('invalid-argument', 'conflicting options: cannot specify both --restart and --rm');
  }
  // The daemon knows which names there are.
  return { Name: name as NonNullable<RestartPolicy['Name']>, MaximumRetryCount: Number(count ?? 0) };
}
