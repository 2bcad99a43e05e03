import { join } from 'node:path';
import type { EngineContext } from '../context.ts';

/** Files of one container in the data root. */
export interface ContainerPaths {
  readonly folder: string;
  readonly log: string;
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export function containerPaths(ctx: Pick<EngineContext, 'root'>, id: string): ContainerPaths {
  const folder = join(ctx.root, 'containers', id);
  return {
    folder,
    log: join(folder, 'container.log'),
    hosts: join(folder, 'hosts'),
    hostname: join(folder, 'hostname'),
    resolvConf: join(folder, 'resolv.conf'),
  };
}
