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
  const folder = `${ctx.root}/containers/${id}`;
  return {
    folder,
    log: `${folder}/container.log`,
    hosts: `${folder}/hosts`,
    hostname: `${folder}/hostname`,
    resolvConf: `${folder}/resolv.conf`,
  };
}
