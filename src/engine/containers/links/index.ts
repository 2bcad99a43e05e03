/** Links on the default bridge: lines in `/etc/hosts`, variables, and names of the form `parent/alias`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { EngineError } from '#errdefs';
import type { EngineContext } from '../../context.ts';
import { addressesOf } from '../account-files.ts';
import type { Container } from '../container.ts';
import { containerPaths } from '../paths.ts';
import type { StoredLink } from '../record.ts';
import { saveContainer } from '../store.ts';
import { exposedPorts, linkVariables } from './environment.ts';

export { requestedLinks } from './requested.ts';

/** As inspect shows them: `/child:/parent/alias`. Null without any. */
export function shownLinks(ctx: EngineContext, container: Container): readonly string[] | null {
  const links = container.body.links ?? [];
  return links.length === 0 ? null : links.map((link) => `/${childName(ctx, link)}:/${container.name}/${link.alias}`);
}

/** A child that was removed keeps the name it had last. */
function childName(ctx: EngineContext, { containerID, name }: StoredLink): string {
  return ctx.containers.get(containerID)?.name ?? name;
}

/** Names that others gave a container by linking to it, by container ID. */
export function linkNames(ctx: EngineContext): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const parent of ctx.containers.all()) {
    for (const { containerID, alias } of parent.body.links ?? []) {
      const list = names.get(containerID) ?? [];
      names.set(containerID, [...list, `/${parent.name}/${alias}`]);
    }
  }
  return names;
}

/** A container that runs on the default bridge, and the one it is linked to. */
function linked(ctx: EngineContext, container: Container): { link: StoredLink; child: Container }[] {
  if (!container.body.networks['bridge']) return [];
  return (container.body.links ?? []).map((link) => {
    const child = ctx.containers.get(link.containerID);
    const as = `/${childName(ctx, link)} AS /${container.name}/${link.alias}`;
    if (!child?.isRunning) throw new EngineError('internal', `Cannot link to a non running container: ${as}`);
    if (!child.body.networks['bridge']?.endpoint) {
      throw new EngineError('internal', `container ${child.id} not attached to default bridge network`);
    }
    return { link, child };
  });
}

/** @throws in dockerd's words when one of them does not run, or not on the default bridge. */
export function linkedEnvironment(ctx: EngineContext, container: Container): string[] {
  return linked(ctx, container).flatMap(({ link: { alias }, child }) =>
    linkVariables({
      name: `/${container.name}/${alias}`,
      alias,
      child,
      ipAddress: child.body.networks['bridge']?.endpoint?.ipAddress ?? '',
    }),
  );
}

/** Opens the ports of those a container is linked to, where it could not reach them else. */
export async function openLinkedPorts(ctx: EngineContext, container: Container): Promise<void> {
  const network = ctx.networks.list().find(({ name, predefined }) => predefined && name === 'bridge');
  if (network?.icc !== false || !container.body.networks['bridge']?.endpoint) return;
  const links = (container.body.links ?? []).map(({ containerID }) => ({
    containerID,
    ports: exposedPorts(Object.keys(ctx.containers.get(containerID)?.body.config.ExposedPorts ?? {})),
  }));
  await ctx.networks.setLinks(container.id, network.id, links);
}

/** Lines of `/etc/hosts`, as pairs. @throws as {@link linkedEnvironment} */
export function linkedHosts(ctx: EngineContext, container: Container): { name: string; address: string }[] {
  return linked(ctx, container).flatMap(({ link, child }) => hostsOf(link, child));
}

function hostsOf({ alias }: StoredLink, child: Container): { name: string; address: string }[] {
  const { Hostname = '' } = child.body.config;
  const name = [alias, Hostname, ...(alias === child.name ? [] : [child.name])].join(' ');
  return addressesOf(child.body.networks['bridge']?.endpoint).map((address) => ({ name, address }));
}

/** A container that has started may have another address: those that are linked to it are told. */
export function tellParents(ctx: EngineContext, child: Container): void {
  for (const parent of ctx.containers.all()) {
    const links = (parent.body.links ?? []).filter(({ containerID }) => containerID === child.id);
    if (links.length === 0 || !parent.isRunning || !parent.body.networks['bridge']?.endpoint) continue;
    const path = containerPaths(ctx, parent.id).hosts;
    const text = links.reduce((before, link) => withLink(before, link, child), readFileSync(path).toString());
    writeFileSync(path, text);
  }
}

/** Its lines where they were, or at the end; what the container wrote itself stays. */
function withLink(text: string, link: StoredLink, child: Container): string {
  const wanted = hostsOf(link, child).map(({ name, address }) => `${address}\t${name}`);
  return replaceLines(text, link, child.body.config.Hostname ?? '', wanted);
}

function replaceLines(text: string, { alias }: StoredLink, hostname: string, wanted: readonly string[]): string {
  const lines = text.split('\n');
  const isOwn = (line: string) => {
    const [, first, second] = line.split(/\s+/);
    return first === alias && second === hostname;
  };
  const at = lines.findIndex(isOwn);
  const others = lines.filter((line) => !isOwn(line));
  others.splice(at < 0 ? others.length - 1 : at, 0, ...wanted);
  return others.join('\n');
}

/**
 * `DELETE /containers/parent/alias?link=1`: forgets a link; both containers stay.
 * @throws `not-found` when it is none, `internal` in dockerd's words for a container's own name.
 */
export async function removeLink(ctx: EngineContext, reference: string): Promise<void> {
  const { containers } = ctx;
  const found = containers.linkNamed(reference);
  if (!found) {
    containers.resolve(reference);
    throw new EngineError('internal', 'Conflict, cannot remove the default link name of the container');
  }
  const { parent, link } = found;
  using _held = await parent.lock.acquire();
  parent.body = { ...parent.body, links: (parent.body.links ?? []).filter(({ alias }) => alias !== link.alias) };
  await saveContainer(ctx, parent, true);
  await openLinkedPorts(ctx, parent);
  const hostname = containers.get(link.containerID)?.body.config.Hostname;
  if (!parent.isRunning || hostname === undefined) return;
  const path = containerPaths(ctx, parent.id).hosts;
  writeFileSync(path, replaceLines(readFileSync(path).toString(), link, hostname, []));
}

/** A container has another name: those that are linked to it remember that one, should it go. */
export async function renameInLinks(ctx: EngineContext, child: Container): Promise<void> {
  for (const parent of ctx.containers.all()) {
    const { links = [] } = parent.body;
    if (!links.some(({ containerID }) => containerID === child.id)) continue;
    const renamed = links.map((link) => (link.containerID === child.id ? { ...link, name: child.name } : link));
    parent.body = { ...parent.body, links: renamed };
    await saveContainer(ctx, parent, true);
  }
}
