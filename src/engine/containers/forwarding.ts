import { readFileSync } from 'node:fs';
import type { EngineContext } from '../context.ts';

export function hostForwards(): boolean {
  return readFileSync('/proc/sys/net/ipv4/ip_forward').toString().trim() === '1';
}

/** The host does not forward, and is not told to when the first bridge is made. */
export function lacksForwarding(ctx: Pick<EngineContext, 'options'>): boolean {
  return ctx.options.network?.ipForward === false && !hostForwards();
}
