import type { HostConfig, RestartPolicy } from '#api-types';
import { EngineError } from '#errdefs';

const firstDelayMs = 100;
const maxDelayMs = 60_000;
/** A run this long counts as one that worked: the next delay is the first again. */
const longRunMs = 10_000;

/** @throws `invalid-argument` in dockerd's words. */
export function checkRestartPolicy({ Name, MaximumRetryCount: count = 0 }: RestartPolicy): void {
  const fail = (fault: string) => {
    throw new EngineError('invalid-argument', `invalid restart policy: ${fault}`);
  };
  switch (Name || 'no') {
    case 'no':
    case 'always':
    case 'unless-stopped': {
      const sign = count < 0 ? ' and cannot be negative' : '';
      if (count !== 0) fail(`maximum retry count can only be used with 'on-failure'${sign}`);
      return;
    }
    case 'on-failure':
      if (count < 0) fail('maximum retry count cannot be negative');
      return;
    default:
      fail(`unknown policy '${Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  }
}

export function hasRestartPolicy(host: HostConfig): boolean {
  return (host.RestartPolicy?.Name || 'no') !== 'no';
}

/** How a container came to its end, as far as its policy asks. */
export interface End {
  readonly exitCode: number;
  readonly restartCount: number;
  /** Somebody sent it a signal. */
  readonly stoppedByHand: boolean;
}

/** Whether the policy wants it started again. `always` means that a daemon's start brings back even what was stopped by hand. */
export function wantsRestart(policy: RestartPolicy | undefined, end: End): boolean {
  const limit = policy?.MaximumRetryCount ?? 0;
  switch (policy?.Name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !end.stoppedByHand;
    case 'on-failure':
      return !end.stoppedByHand && end.exitCode !== 0 && (limit === 0 || end.restartCount < limit);
    default:
      return false;
  }
}

/** The delay before the next start, from the one before the run that has just ended (0: there was none). */
export function nextDelayMs(lastMs: number, ranMs: number): number {
  if (lastMs === 0 || ranMs > longRunMs) return firstDelayMs;
  return Math.min(lastMs * 2, maxDelayMs);
}
