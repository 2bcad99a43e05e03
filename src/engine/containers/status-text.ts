import type { StoredHealth, StoredState } from './record.ts';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const week = 7 * day;
const month = 30 * day;
const year = 365 * day;

/** A span in Docker's words: `About a minute`, `3 hours`. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return 'Less than a second';
  if (seconds < 2) return '1 second';
  if (seconds < minute) return `${Math.floor(seconds)} seconds`;
  const minutes = Math.floor(seconds / minute);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / hour);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(seconds / day)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(seconds / week)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(seconds / month)} months`;
  return `${Math.floor(seconds / year)} years`;
}

/** The STATUS column of `docker ps`. */
export function statusText(state: StoredState, health?: StoredHealth['status'], now = new Date()): string {
  const since = (time: string) => humanDuration((now.getTime() - Date.parse(time)) / 1000);
  switch (state.status) {
    case 'created':
      return 'Created';
    case 'running':
      return `Up ${since(state.startedAt)}${healthText(health)}`;
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case 'dead':
      return 'Dead';
    case 'exited':
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
    default:
      return state.status satisfies never;
  }
}

function healthText(health: StoredHealth['status'] | undefined): string {
  if (health === undefined) return '';
  return health === 'starting' ? ' (health: starting)' : ` (${health})`;
}
