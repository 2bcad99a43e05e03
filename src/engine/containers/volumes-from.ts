import { EngineError, messageOf } from '#errdefs';
import type { EngineContext } from '../context.ts';
import type { PlannedMount } from './record.ts';

const invalid = (message: string) => new EngineError('invalid-argument', message);

/**
 * The binds and volumes of other containers, under the paths they have there; of two at one path the later counts. What lives with a container's
 * process (tmpfs) stays with it.
 * @throws `invalid-argument` in Docker's words for a container that is not there, and for a mode that is none.
 */
export function inheritedMounts(
  ctx: Pick<EngineContext, 'containers'>,
  from: readonly string[] | null | undefined,
): ReadonlyMap<string, PlannedMount> {
  const mounts = new Map<string, PlannedMount>();
  for (const spec of from ?? []) {
    const { reference, readOnly } = parseSource(spec);
    for (const mount of sourceMounts(ctx, reference)) {
      if (mount.kind === 'tmpfs') continue;
      const access = { mode: '', readOnly: mount.readOnly || readOnly };
      const inherited =
        mount.kind === 'volume' ? { ...mount, ...access, inherited: true as const } : { ...mount, ...access };
      mounts.set(mount.destination, inherited);
    }
  }
  return mounts;
}

/** A client that is told of something not found would go and pull the image. */
function sourceMounts(ctx: Pick<EngineContext, 'containers'>, reference: string): readonly PlannedMount[] {
  try {
    return ctx.containers.resolve(reference).body.mounts;
  } catch (error) {
    throw new EngineError('invalid-argument', messageOf(error), { cause: error });
  }
}

/** `container[:mode]`; of the modes of a mount only access and labels say something here. */
function parseSource(spec: string): { reference: string; readOnly: boolean } {
  if (spec === '') throw invalid('volumes-from specification cannot be an empty string');
  const at = spec.indexOf(':');
  if (at < 0) return { reference: spec, readOnly: false };
  const mode = spec.slice(at + 1);
  const words = mode.split(',');
  const access = words.filter((word) => word === 'ro' || word === 'rw');
  const labels = words.filter((word) => word === 'z' || word === 'Z');
  if (access.length > 1 || labels.length > 1 || access.length + labels.length < words.length) {
    throw invalid(`invalid mode: ${mode}`);
  }
  return { reference: spec.slice(0, at), readOnly: access[0] === 'ro' };
}
