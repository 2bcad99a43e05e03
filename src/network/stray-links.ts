import { listHostLinks } from './bridge.ts';
import type { NamespaceHelper } from './helper.ts';

/** Bridges and parents of networks that carry our mark and are no network's any more. */
export async function strayLinks(
  helper: NamespaceHelper,
  owner: string,
  known: ReadonlySet<string>,
): Promise<readonly string[]> {
  return (await listHostLinks(helper))
    .filter(({ alias, name }) => alias === owner && !known.has(name))
    .map(({ name }) => name);
}
