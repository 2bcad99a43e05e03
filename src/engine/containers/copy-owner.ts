import { EngineError, isKind, messageOf } from '#errdefs';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { openView } from './root-view.ts';
import { hasAccountFile, resolveUser } from './user.ts';

/**
 * Whose the files become that are copied in with `copyUIDGID`: the container's user's, by the container's own account files. Undefined where it has none:
 * the archive's owners stay, as they do without `copyUIDGID`.
 * @throws `invalid-argument` in Docker's words when the user or its group is not there.
 */
export async function copyOwner(
  ctx: EngineContext,
  container: Container,
): Promise<{ uid: number; gid: number } | undefined> {
  const user = container.body.config.User ?? '';
  if (user === '') return undefined;
  await using view = await openView(ctx, container, '/');
  const root = `/proc/self/fd/${view.fd}`;
  try {
    const { uid, gid } = resolveUser(root, user);
    return { uid, gid };
  } catch (error) {
    if (!isKind(error, 'invalid-argument')) throw error;
    const [, kind, name, reason] = /^unable to find (user|group) (.*?): (.*)$/.exec(messageOf(error)) ?? [];
    if (kind === undefined) throw error;
    const file = kind === 'user' ? '/etc/passwd' : '/etc/group';
    const why = hasAccountFile(root, kind) ? reason : `open ${file}: no such file or directory`;
    throw new EngineError('invalid-argument', `failed to look up ${kind} "${name}" in container: ${why}`, {
      cause: error,
    });
  }
}
