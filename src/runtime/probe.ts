import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { delay } from '#concurrency';
import { EngineError, ExitError, messageOf } from '#errdefs';
import { log } from '#log';
import { helperPath } from '#sys';
import { Cgroup, type Cgroups, findCgroups } from './cgroups.ts';
import { runtimeEnvironment } from './conmon.ts';
import { runCommand } from './host-command.ts';
import { requireOwnRoot } from './own-root.ts';
import type { RuntimeInfo, RuntimeOptions } from './types.ts';

const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const conmonFolders = [...folders, '/usr/libexec/podman', '/usr/lib/podman', '/usr/local/libexec/podman'];
/** crun first: it starts a container in a third of runc's time. */
const preferred = ['crun', 'runc'];
const trialTimeoutMs = 20_000;
/** Of the folder of a trial, in the run root. */
const trialPrefix = 'trial-';
const trialID = (folderName: string) => `wherry-${folderName}`;

interface Candidate {
  readonly path: string;
  readonly wrapperPath?: string;
}

/**
 * Finds conmon and an OCI runtime that really runs a container here: each candidate runs one, with nothing but a static program in it.
 * @throws `failed-precondition` saying what was tried.
 */
export async function probe(options: RuntimeOptions): Promise<{ info: RuntimeInfo; cgroups: Cgroups }> {
  const cgroups = findCgroups();
  await removeTrials(options.runRoot, cgroups);
  await requireOwnRoot(options.runRoot);
  const conmonPath = find('conmon', conmonFolders);
  if (conmonPath === undefined) {
    throw new EngineError('failed-precondition', 'find conmon: it is not installed (package "conmon")');
  }
  const { runtimeArgs: args = [] } = options;
  const refused: string[] = [];
  for (const candidate of candidates(options, cgroups)) {
    const [fault, versions] = await Promise.all([
      trial({ ...candidate, args }, options.runRoot, cgroups),
      readVersions(candidate.path, conmonPath),
    ]);
    if (fault !== undefined) {
      refused.push(`${describe(candidate)}: ${fault}`);
      continue;
    }
    const info = {
      ...candidate,
      args,
      ...versions,
      shownName: options.runtimeName ?? versions.name,
      conmonPath,
      cgroupVersion: cgroups.version,
      reason: [`${describe(candidate)} runs containers here`, ...refused].join('; '),
    };
    log.debug('runtime found', { runtime: info.path, reason: info.reason });
    return { info, cgroups };
  }
  const tried = refused.length > 0 ? refused.join('; ') : 'neither crun nor runc is installed';
  throw new EngineError('failed-precondition', `find an OCI runtime: ${tried}`);
}

function candidates(options: RuntimeOptions, cgroups: Cgroups): Candidate[] {
  const paths =
    options.runtimePath !== undefined
      ? [absolute(options.runtimePath)]
      : preferred.map((name) => find(name, folders)).filter((path) => path !== undefined);
  if (cgroups.version === 2) return paths.map((path) => ({ path }));
  const wrapperPath = helperPath('runtime-wrapper');
  return paths.flatMap((path) =>
    basename(path) === 'crun' && isHybrid() ? [{ path, wrapperPath }] : [{ path }, { path, wrapperPath }],
  );
}

/** Where a runtime is that is installed on this machine. */
export const findRuntime = (name: string) => find(name, folders);

/** conmon looks for nothing along the PATH. */
function absolute(runtime: string): string {
  return runtime.includes('/') ? runtime : (find(runtime, folders) ?? runtime);
}

/** crun refuses a v2 hierarchy beside v1 ones unless it offers nothing. */
function isHybrid(): boolean {
  try {
    return readFileSync('/sys/fs/cgroup/unified/cgroup.controllers').toString().trim() !== '';
  } catch {
    return false;
  }
}

function find(name: string, within: readonly string[]): string | undefined {
  const searched = [...(process.env['PATH'] ?? '').split(':').filter((path) => path.startsWith('/')), ...within];
  return searched
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const describe = (candidate: Candidate) =>
  candidate.wrapperPath === undefined ? candidate.path : `${candidate.path} without cgroup v2`;

async function readVersions(
  path: string,
  conmonPath: string,
): Promise<Pick<RuntimeInfo, 'name' | 'version' | 'conmonVersion'>> {
  const said = (program: string) => runCommand(program, ['--version']).catch(() => '');
  const [runtime, conmon] = await Promise.all([said(path), said(conmonPath)]);
  const [, name = basename(path), version = 'unknown'] = /^(\S+) version (\S+)/m.exec(runtime) ?? [];
  return { name, version, conmonVersion: /version (\S+)/.exec(conmon)?.[1] ?? 'unknown' };
}

/** What a process that was killed in its trial left: its program ends at once, its cgroup and files do not. */
async function removeTrials(runRoot: string, cgroups: Cgroups): Promise<void> {
  mkdirSync(runRoot, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(runRoot).filter((entry) => entry.startsWith(trialPrefix))) {
    await removeCgroup(new Cgroup(cgroups, `/${trialID(name)}`));
    rmSync(join(runRoot, name), { recursive: true, force: true });
  }
}

async function removeCgroup(cgroup: Cgroup): Promise<void> {
  for (let tries = 0; tries < 50 && !cgroup.remove(); tries++) await delay(10);
}

/** Why the candidate cannot run a container; undefined when it can. */
async function trial(
  candidate: Candidate & Pick<RuntimeInfo, 'args'>,
  runRoot: string,
  cgroups: Cgroups,
): Promise<string | undefined> {
  const folder = mkdtempSync(join(runRoot, trialPrefix));
  const id = trialID(basename(folder));
  const info = { ...candidate, name: '', shownName: '', version: '', conmonPath: '', conmonVersion: '', reason: '' };
  const env = runtimeEnvironment({ ...info, cgroupVersion: 1 });
  const run = (...args: string[]) =>
    runCommand(candidate.wrapperPath ?? candidate.path, [...candidate.args, `--root=${folder}/state`, ...args], {
      env,
      timeoutMs: trialTimeoutMs,
    });
  try {
    makeTrialBundle(folder, id);
    await run('run', '--bundle', folder, id);
    return undefined;
  } catch (error) {
    await run('delete', '--force', id).catch(() => {});
    return error instanceof ExitError && error.stderr.trim() ? error.stderr.trim() : messageOf(error);
  } finally {
    // A runtime that fails half-way leaves its cgroup, whatever its `delete` says.
    await removeCgroup(new Cgroup(cgroups, `/${id}`));
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeTrialBundle(folder: string, id: string): void {
  for (const name of ['proc', 'dev', 'sys']) mkdirSync(join(folder, 'rootfs', name), { recursive: true });
  writeFileSync(join(folder, 'rootfs', 'probe'), '');
  const config = {
    ociVersion: '1.0.2',
    process: { terminal: false, user: { uid: 0, gid: 0 }, args: ['/probe', '--probe'], env: [], cwd: '/' },
    root: { path: join(folder, 'rootfs'), readonly: false },
    hostname: 'trial',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/probe',
        type: 'bind',
        source: helperPath('runtime-wrapper'),
        options: ['bind', 'ro'],
      },
    ],
    linux: {
      namespaces: ['mount', 'pid', 'ipc', 'uts'].map((type) => ({ type })),
      cgroupsPath: `/${id}`,
      resources: { devices: [{ allow: false, access: 'rwm' }] },
    },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}
