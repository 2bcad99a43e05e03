import { listHostLinks } from './bridge.ts';
import type { NamespaceHelper } from './helper.ts';

/** Bridges that carry our mark and are no network's any more. */
export async function strayBridges(
  helper: NamespaceHelper,
  owner: string,
  known: ReadonlySet<string>,
): Promise<readonly string[]> {
  return (await listHostLinks(helper))
    .filter(({ kind, alias, name }) => kind === 'bridge' && alias === owner && !known.has(name))
    .map(({ name }) => name);
}
