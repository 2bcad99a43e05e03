import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';

const namesOf = (container: Container): string[] => [
  ...new Set(container.body.mounts.flatMap((mount) => (mount.kind === 'volume' ? [mount.name] : []))),
];

/** Before a container starts: every volume of it can be mounted into it. */
export async function holdVolumes(ctx: EngineContext, container: Container): Promise<void> {
  for (const name of namesOf(container)) await ctx.volumes.hold(name, container.id);
}

export async function releaseVolumes(ctx: EngineContext, container: Container): Promise<void> {
  for (const name of namesOf(container)) await ctx.volumes.release(name, container.id);
}

/** Containers that run, by the volumes they use. */
export function volumesInUse(containers: Iterable<Container>): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const container of containers) {
    if (!container.isRunning) continue;
    for (const name of namesOf(container)) users.set(name, [...(users.get(name) ?? []), container.id]);
  }
  return users;
}
