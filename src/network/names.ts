/** Names of what a daemon makes on the machine: all of them tell whose it is, so that daemons coexist and leaks are found. */
import { createHash, randomBytes } from 'node:crypto';

/** Eight hex digits that stand for a daemon. */
export function instanceKey(instance: string): string {
  return /^[0-9a-f]{8}$/.test(instance) ? instance : digest(instance).slice(0, 8);
}

export function defaultBridgeName(instance: string): string {
  return `wh-${instanceKey(instance)}`;
}

/** Docker's name for a network's bridge. */
export function bridgeNameOf(networkID: string): string {
  return `br-${networkID.slice(0, 12)}`;
}

/** Of the firewall table, the comment on rules in tables of others, and the alias of bridges. */
export function ownerName(instance: string): string {
  return `wherry-${instanceKey(instance)}`;
}

/** The same after every restart: containers remember it. */
export function networkID(instance: string, name: string): string {
  return digest(`wherry network ${instance} ${name}`);
}

/** What all host ends of a container's links on one network start with. */
export function linkPrefix(networkID: string, containerID: string): string {
  return `wv${digest(`${networkID} ${containerID}`).slice(0, 7)}`;
}

/** A new name each time (15 characters is the kernel's limit): an earlier link of the container may still be going away. */
export function newLinkName(networkID: string, containerID: string): string {
  return linkPrefix(networkID, containerID) + randomBytes(3).toString('hex');
}

export function isLinkName(name: string): boolean {
  return /^wv[0-9a-f]{13}$/.test(name);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
