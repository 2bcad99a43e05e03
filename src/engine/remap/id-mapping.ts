import { readFileSync } from 'node:fs';
import { EngineError, isErrno } from '#errdefs';

/** IDs of a container that are others outside: `sizeIDs` of them in a row. */
export interface IDRange {
  readonly container: number;
  readonly host: number;
  readonly sizeIDs: number;
}

/** How the IDs of a user namespace are shown outside. */
export interface IDMapping {
  readonly uids: readonly IDRange[];
  readonly gids: readonly IDRange[];
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Who root of the container is outside. */
export const rootOf = (mapping: IDMapping | undefined): Owner =>
  mapping ? hostOwner(mapping, { uid: 0, gid: 0 }) : { uid: 0, gid: 0 };

/** @throws `invalid-argument` in Docker's words for an ID that the mapping has not. */
export function hostOwner({ uids, gids }: IDMapping, { uid, gid }: Owner): Owner {
  return { uid: toHost(uids, uid), gid: toHost(gids, gid) };
}

/** An ID that the mapping has not stays what it is outside: the owner of a bind mount, say. */
export function containerOwner({ uids, gids }: IDMapping, { uid, gid }: Owner): Owner {
  return { uid: toContainer(uids, uid), gid: toContainer(gids, gid) };
}

function toHost(ranges: readonly IDRange[], id: number): number {
  const range = ranges.find(({ container, sizeIDs }) => id >= container && id < container + sizeIDs);
  if (range) return range.host + id - range.container;
  throw new EngineError('invalid-argument', `Container ID ${id} cannot be mapped to a host ID`);
}

function toContainer(ranges: readonly IDRange[], id: number): number {
  const range = ranges.find(({ host, sizeIDs }) => id >= host && id < host + sizeIDs);
  return range ? range.container + id - range.host : id;
}

/** As /proc/<pid>/uid_map has it. */
export const mapText = (ranges: readonly IDRange[]): string =>
  ranges.map(({ container, host, sizeIDs }) => `${container} ${host} ${sizeIDs}\n`).join('');

export function parseMap(text: string): IDRange[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([container, host, sizeIDs]) => (sizeIDs ? [{ container: container!, host: host!, sizeIDs }] : []));
}

/** Of a running process; undefined when its IDs are the daemon's own, or it has ended. */
export function mappingOfProcess(pid: number): IDMapping | undefined {
  try {
    const [uids, gids, ownUids] = [`${pid}/uid_map`, `${pid}/gid_map`, 'self/uid_map'].map((name) =>
      readFileSync(`/proc/${name}`).toString(),
    );
    return uids === ownUids ? undefined : { uids: parseMap(uids!), gids: parseMap(gids!) };
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return undefined;
    throw error;
  }
}
