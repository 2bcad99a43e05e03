import type { Health } from '#api-types';
import { delay } from '#concurrency';
import { log } from '#log';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { afterProbe, type HealthPlan, healthPlan, nextProbeMs, onFailureOf } from './health-policy.ts';
import { probeHealth } from './health-probe.ts';
import type { StoredHealth } from './record.ts';
import { killContainer, stopContainer } from './stop.ts';
import { saveContainer } from './store.ts';

/** A container that has just been started: what it was before is in the log alone. */
export function beginHealth(ctx: EngineContext, container: Container): void {
  if (!planOf(container)) return;
  container.setHealth({ status: 'starting', failingStreak: 0, log: container.body.health?.log ?? [] });
  watchHealth(ctx, container);
}

/** Goes on with the checks of a container that runs, where they were left. */
export function watchHealth(ctx: EngineContext, container: Container): void {
  const plan = planOf(container);
  if (!plan || !container.body.health) return;
  const { signal } = container.healthWatch();
  probeForEver(ctx, container, plan, signal).catch((error: unknown) => {
    if (!signal.aborted) log.error('checking a container ended', { container: container.id, error });
  });
}

/** As inspect shows it. Absent before the first start, and of a container without a check. */
export function shownHealth({ health }: Container['body']): { Health?: Health } {
  if (!health) return {};
  return { Health: { Status: health.status, FailingStreak: health.failingStreak, Log: health.log } };
}

function planOf({ body }: Container): HealthPlan | undefined {
  return healthPlan(body.config.Healthcheck, body.config.Shell);
}

async function probeForEver(
  ctx: EngineContext,
  container: Container,
  plan: HealthPlan,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = Date.parse(container.body.state.startedAt);
  while (container.body.health) {
    await delay(nextProbeMs(plan, container.body.health, startedMs, Date.now()), { signal });
    const result = await probeHealth(ctx, container, plan);
    if (signal.aborted) return;
    await settle(ctx, container, afterProbe(plan, container.body.health, result, startedMs), signal);
  }
}

/** Records a result unless the container has ended meanwhile; a removed one must not come back by being saved. */
async function settle(
  ctx: EngineContext,
  container: Container,
  health: StoredHealth,
  signal: AbortSignal,
): Promise<void> {
  using _held = await container.lock.acquire({ signal });
  if (signal.aborted || ctx.containers.get(container.id) !== container) return;
  const before = container.body.health?.status;
  container.setHealth(health);
  await saveContainer(ctx, container);
  if (health.status === before) return;
  emitContainer(ctx, container, `health_status: ${health.status}`);
  if (health.status !== 'unhealthy') return;
  react(ctx, container).catch((error: unknown) =>
    log.warn('an unhealthy container could not be dealt with', { container: container.id, error }),
  );
}

/** What the container's label wants of one that is unhealthy. After `kill` its restart policy has the word. */
async function react(ctx: EngineContext, container: Container): Promise<void> {
  switch (onFailureOf(container.body.config.Labels)) {
    case 'stop':
      return await stopContainer(ctx, container.id);
    case 'kill':
      return await killContainer(ctx, container.id, { byHand: false });
    case 'restart':
      container.restartRequested = true;
      return await stopContainer(ctx, container.id, { byHand: false });
    case 'none':
      return;
  }
}
