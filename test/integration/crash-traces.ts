/** What a daemon's containers leave on the machine, seen from outside: each kind as the sorted IDs (or names) it is there for. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Traces {
  readonly mounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly monitors: readonly string[];
  readonly bundles: readonly string[];
  /** Of the containers that were asked for. */
  readonly cgroups: readonly string[];
  /** User namespaces, mounts held for containers, exit files: what only those that run have. */
  readonly held: readonly string[];
  readonly snapshots: readonly string[];
  readonly folders: readonly string[];
  /** Bridges with the daemon's mark. */
  readonly bridges: readonly string[];
  /** Host ends on all of them. */
  readonly links: number;
  /** Addresses and ports in the firewall's maps. */
  readonly mapped: number;
  /** Anything in places that hold something only during work. */
  readonly scratch: readonly string[];
}

export function instanceOf(dataRoot: string): string {
  return createHash('sha256').update(realpathSync(dataRoot)).digest('hex').slice(0, 8);
}

/** Of the daemon with `folder/data` and `folder/run`; `ids`: every container there ever was. */
export function tracesOf(folder: string, ids: Iterable<string>): Traces {
  const [data, run] = [join(folder, 'data'), join(folder, 'run')];
  const instance = instanceOf(data);
  const bridges = bridgesOf(`wherry-${instance}`);
  return {
    mounts: mountsBelow(join(run, 'mounts')).map((target) => target.split('/').at(-2) ?? target),
    namespaces: names(join(run, 'netns')),
    monitors: monitors(join(run, 'state')),
    bundles: names(join(run, 'containers')),
    cgroups: cgroupsOf([...ids]),
    held: ['userns', 'binds', 'shm', 'exits', 'execs'].flatMap((kind) =>
      names(join(run, kind)).map((id) => `${kind}/${id}`),
    ),
    snapshots: names(join(data, 'snapshots')),
    folders: names(join(data, 'containers')),
    bridges,
    links: bridges.reduce((sum, bridge) => sum + linksOn(bridge), 0),
    mapped: mapped(`wherry-${instance}`),
    scratch: [
      ...['tmp', 'content/ingest'].flatMap((name) => names(join(data, name)).map((entry) => `${name}/${entry}`)),
      ...names(join(run, 'steps')).map((entry) => `steps/${entry}`),
      ...[...names(data), ...names(run)].filter((entry) => entry.startsWith('.probe-') || entry.startsWith('trial-')),
      ...names(join(data, 'layers')).filter((entry) => /^\.|\.(tmp|new)/.test(entry)),
      ...mountsBelow(data),
    ],
  };
}

function names(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

/** In any hierarchy, of either version; IDs may be short. */
function cgroupsOf(ids: readonly string[]): string[] {
  const root = '/sys/fs/cgroup';
  const folders = ['', ...readdirSync(root)]
    .map((name) => join(root, name))
    .filter((path) => statSync(path).isDirectory());
  const found = new Set(folders.flatMap((folder) => readdirSync(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name)));
  return [...found].filter((name) => ids.some((id) => name.startsWith(id))).sort();
}

export function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo')
    .toString()
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(`${folder}/`))
    .sort();
}

/** One entry for each conmon, so that two for a container are seen. Those of execs are left out. */
function monitors(stateFolder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLine(pid))
    .filter((args) => args.includes(`--root=${stateFolder}`) && args.includes('--cid') && !args.includes('--exec'))
    .map((args) => args[args.indexOf('--cid') + 1] ?? '')
    .sort();
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function bridgesOf(owner: string): string[] {
  const text = execFileSync('ip', ['-json', 'link', 'show', 'type', 'bridge'], { encoding: 'utf8' });
  const links = (text.trim() === '' ? [] : JSON.parse(text)) as { ifname?: string; ifalias?: string }[];
  return links.flatMap(({ ifname, ifalias }) => (ifalias === owner && ifname ? [ifname] : [])).sort();
}

function linksOn(bridge: string): number {
  const folder = `/sys/class/net/${bridge}/brif`;
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

function mapped(table: string): number {
  let text: string;
  try {
    text = execFileSync('nft', ['-j', 'list', 'table', 'ip', table], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return 0;
  }
  const { nftables } = JSON.parse(text) as { nftables: { map?: { elem?: unknown[] } }[] };
  return nftables.reduce((sum, { map }) => sum + (map?.elem?.length ?? 0), 0);
}
