import { EngineError } from '#errdefs';
import type { NetworkInfo } from '#network';
import type { Container } from './container.ts';

const sharesNetwork =
  'container sharing network namespace with another container or host cannot be connected to any other network';
const hostIsForCreate = 'cannot connect container to host network - container must be created in host network mode';
const noneIsAlone =
  'container cannot be connected to multiple networks with one of the networks in private (none) mode';

/**
 * Whether a container may have this network beside that of its mode. `now`: of a stopped container's mode some things are ruled out at its start only.
 * @throws `invalid-argument` in dockerd's words.
 */
export function checkMode(container: Container, network: NetworkInfo, now: boolean): void {
  const mode = container.body.hostConfig.NetworkMode ?? '';
  const isShared = mode === 'host' || mode.startsWith('container:');
  const refuse = (message: string) => {
    throw new EngineError('invalid-argument', message);
  };
  if (isShared && now) refuse(sharesNetwork);
  if (network.driver === 'host') refuse(hostIsForCreate);
  if (network.name === 'none' || mode === 'none') refuse(noneIsAlone);
}

/** The same at a start, of all its networks but the mode's own. */
export function checkModes(container: Container, networks: readonly NetworkInfo[]): void {
  const mode = container.body.hostConfig.NetworkMode ?? '';
  for (const network of networks) {
    if (network.name === mode || network.id === mode) continue;
    checkMode(container, network, true);
  }
}
