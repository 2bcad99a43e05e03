import { EngineError, kindOf, messageOf } from '#errdefs';
import type { EngineContext } from '../../context.ts';
import type { Container } from '../container.ts';
import type { StoredLink } from '../record.ts';

/** `name:alias`, `name`, or `/name:/parent/alias` as inspect shows it. @throws in dockerd's words. */
export function parseLink(text: string): { reference: string; alias: string } {
  if (text === '') throw new EngineError('internal', 'empty string specified for links');
  const parts = text.split(':');
  if (parts.length > 2) throw new EngineError('internal', `bad format for links: ${text}`);
  const [reference = '', alias = reference] = parts;
  if (!reference.startsWith('/')) return { reference, alias };
  return { reference: reference.slice(1), alias: alias.slice(alias.lastIndexOf('/') + 1) };
}

/**
 * The links of a create call on the default bridge, where there is no name server; those of a network with one are its own.
 * @throws `invalid-argument` in dockerd's words for what cannot be linked to.
 */
export function requestedLinks(ctx: EngineContext, links: readonly string[], mode: string): StoredLink[] {
  if (links.length === 0 || !['bridge', 'default', 'none', ''].includes(mode)) return [];
  const found: StoredLink[] = [];
  for (const text of links) {
    const { reference, alias } = parseLink(text);
    const child = linkable(ctx, reference);
    // The first of several that would have one name has it.
    if (alias === '' || found.some((link) => link.alias === alias)) continue;
    found.push({ containerID: child.id, name: child.name, alias });
  }
  return found;
}

/** The container that is meant: one that shares another's network stands for that one. */
function linkable(ctx: EngineContext, reference: string): Container {
  let child = find(ctx, reference);
  while (child.body.hostConfig.NetworkMode?.startsWith('container:')) {
    child = find(ctx, child.body.hostConfig.NetworkMode.slice('container:'.length));
  }
  if (child.body.hostConfig.NetworkMode === 'host') {
    throw new EngineError(
      'invalid-argument',
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
  return child;
}

function find(ctx: EngineContext, reference: string): Container {
  try {
    if (reference === '') throw new EngineError('invalid-argument', 'invalid name or ID supplied: ""');
    return ctx.containers.resolve(reference);
  } catch (error) {
    const kind = kindOf(error) === 'not-found' ? 'invalid-argument' : kindOf(error);
    throw new EngineError(kind, `could not get container for ${reference}: ${messageOf(error)}`, { cause: error });
  }
}
