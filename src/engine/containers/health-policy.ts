import type { HealthcheckConfig, HealthResult } from '#api-types';
import { EngineError } from '#errdefs';
import type { StoredHealth } from './record.ts';

const nanosPerMilli = 1_000_000;
const defaultIntervalMs = 30_000;
const defaultTimeoutMs = 30_000;
const defaultStartIntervalMs = 5_000;
const defaultRetries = 3;
const keptResults = 5;

/** Says what is to happen to a container that becomes unhealthy. dockerd only tells. */
export const onFailureLabel = 'io.wherry.health-on-failure';
const onFailureActions = ['none', 'kill', 'restart', 'stop'] as const;
export type OnFailure = (typeof onFailureActions)[number];

/** The user's words over the image's, field by field as dockerd merges them. */
export function mergeHealthcheck(
  ours: HealthcheckConfig | null | undefined,
  images: HealthcheckConfig | null | undefined,
): HealthcheckConfig | undefined {
  if (!ours) return images ?? undefined;
  const test = ours.Test?.length ? ours.Test : images?.Test;
  const number = (key: 'Interval' | 'Timeout' | 'StartPeriod' | 'StartInterval' | 'Retries') => {
    const value = ours[key] || images?.[key];
    return value ? { [key]: value } : {};
  };
  return {
    ...(test?.length ? { Test: test } : {}),
    ...number('Interval'),
    ...number('Timeout'),
    ...number('StartPeriod'),
    ...number('StartInterval'),
    ...number('Retries'),
  };
}

/** @throws `invalid-argument`, in dockerd's words where it checks as well. */
export function checkHealthcheck(
  check: HealthcheckConfig | null | undefined,
  labels: Readonly<Record<string, string>> | null | undefined,
): void {
  const refuse = (message: string) => {
    throw new EngineError('invalid-argument', message);
  };
  for (const key of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const value = check?.[key] ?? 0;
    if (value !== 0 && value < nanosPerMilli) refuse(`${key} in Healthcheck cannot be less than 1ms`);
  }
  if ((check?.Retries ?? 0) < 0) refuse('Retries in Healthcheck cannot be negative');
  const kind = check?.Test?.[0] ?? '';
  if (!['', 'NONE', 'CMD', 'CMD-SHELL'].includes(kind)) {
    refuse(`unknown type of health check '${kind}': must be CMD, CMD-SHELL or NONE`);
  }
  const action = labels?.[onFailureLabel] ?? 'none';
  if (!onFailureActions.some((known) => known === action)) {
    refuse(`invalid value for label ${onFailureLabel} (${action}): must be one of ${onFailureActions.join(', ')}`);
  }
}

export function onFailureOf(labels: Readonly<Record<string, string>> | null | undefined): OnFailure {
  return onFailureActions.find((known) => known === labels?.[onFailureLabel]) ?? 'none';
}

/** A check with its defaults, in milliseconds. */
export interface HealthPlan {
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

/** Undefined when nothing is to be checked. */
export function healthPlan(
  check: HealthcheckConfig | null | undefined,
  shell: readonly string[] | null | undefined,
): HealthPlan | undefined {
  const [kind, ...words] = check?.Test ?? [];
  if (!check || (kind !== 'CMD' && kind !== 'CMD-SHELL') || words.length === 0) return undefined;
  const ms = (value: number | undefined, otherwise: number) => (value ? value / nanosPerMilli : otherwise);
  return {
    command: kind === 'CMD' ? words : [...(shell?.length ? shell : ['/bin/sh', '-c']), ...words],
    intervalMs: ms(check.Interval, defaultIntervalMs),
    timeoutMs: ms(check.Timeout, defaultTimeoutMs),
    startPeriodMs: ms(check.StartPeriod, 0),
    startIntervalMs: ms(check.StartInterval, defaultStartIntervalMs),
    retries: check.Retries || defaultRetries,
  };
}

/** How long after a probe (or the start) the next one begins. */
export function nextProbeMs(plan: HealthPlan, health: StoredHealth, startedMs: number, nowMs: number): number {
  const isStarting = health.status === 'starting' && nowMs - startedMs < plan.startPeriodMs;
  return isStarting ? plan.startIntervalMs : plan.intervalMs;
}

/** The state after one more result: failures do not count while a container that never was healthy is in its start period. */
export function afterProbe(
  plan: HealthPlan,
  health: StoredHealth,
  result: HealthResult,
  startedMs: number,
): StoredHealth {
  const log = [...health.log, result].slice(-keptResults);
  if (result.ExitCode === 0) return { status: 'healthy', failingStreak: 0, log };
  const isForgiven = health.status === 'starting' && Date.parse(result.Start) - startedMs < plan.startPeriodMs;
  if (isForgiven) return { ...health, log };
  const failingStreak = health.failingStreak + 1;
  return { status: failingStreak >= plan.retries ? 'unhealthy' : health.status, failingStreak, log };
}
