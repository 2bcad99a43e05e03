import { EngineError } from '#errdefs';
import type { SolveRequest } from '../proto/control_pb.ts';

/**
 * What clients want kept of a build for others. `inline` needs nothing: every image is a cache here, by its history and layers, once a build names it in
 * `--cache-from`.
 * @throws `not-implemented` for other kinds, by their name
 */
export function requireCacheExports({ cache }: SolveRequest): void {
  for (const { type } of cache?.exports ?? []) {
    if (type !== 'inline') throw new EngineError('not-implemented', `cache export of type ${type} is not supported`);
  }
}

export { importCaches, parseCacheImports } from './imports.ts';
