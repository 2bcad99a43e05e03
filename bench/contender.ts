/** What is measured: our own daemon on a private root, or a peer behind its socket. */
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon } from '../test/support/daemon.ts';
import { DockerCli, findDockerCli } from '../test/support/docker-cli.ts';
import { type BenchRegistry, externalRegistry, startRegistry } from './registry.ts';

export interface Contender extends AsyncDisposable {
  readonly name: 'ours' | 'peer';
  readonly docker: DockerCli;
  /** The daemon's process; undefined for a peer nobody told it of. */
  readonly pid: number | undefined;
  readonly dataRoot: string | undefined;
  /** A registry the daemon reaches as loopback, started on first use. */
  registry(): Promise<BenchRegistry>;
}

/** What every contender is driven with. */
export interface ClientOptions {
  /** The buildx plugin; without it builds are classic ones. */
  readonly buildx: string | undefined;
}

export interface PeerOptions extends ClientOptions {
  readonly host: string;
  readonly pid: number | undefined;
  readonly dataRoot: string | undefined;
  readonly registry: string | undefined;
  /** Network namespace the peer's daemon is in. */
  readonly networkNamespace: string | undefined;
}

export async function openOurs(options: ClientOptions & { registry: string | undefined }): Promise<Contender> {
  await using opened = new AsyncDisposableStack();
  // What a sample removes is gone: kept for an undo, the next load would find its layers and pull none.
  const daemon = opened.use(await TestDaemon.start({ flags: ['--undo-grace=0'] }));
  const parts = await commonParts(opened, {
    host: daemon.host,
    registry: options.registry,
    buildx: options.buildx,
    networkNamespace: undefined,
  });
  const held = opened.move();
  return {
    name: 'ours',
    pid: daemon.pid,
    dataRoot: daemon.dataRoot,
    ...parts,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

export async function openPeer(options: PeerOptions): Promise<Contender> {
  await using opened = new AsyncDisposableStack();
  const parts = await commonParts(opened, options);
  const held = opened.move();
  return {
    name: 'peer',
    pid: options.pid,
    dataRoot: options.dataRoot,
    ...parts,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** The client, with a configuration folder of its own so that no credential or plug-in of the user's takes part. */
async function commonParts(
  opened: AsyncDisposableStack,
  options: ClientOptions & { host: string; registry: string | undefined; networkNamespace: string | undefined },
): Promise<Pick<Contender, 'docker' | 'registry'>> {
  const cli = findDockerCli();
  if ('missing' in cli) throw new Error(cli.missing);
  const folder = await mkdtemp(join(tmpdir(), 'wherry-bench-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  if (options.buildx !== undefined) await plugIn(folder, options.buildx);
  const docker = new DockerCli(cli.path, options.host, folder, { buildx: options.buildx !== undefined });
  await docker.ok('version');
  let registry: Promise<BenchRegistry> | undefined;
  opened.defer(async () => (await registry)?.[Symbol.asyncDispose]());
  const open = () =>
    options.registry === undefined
      ? startRegistry(join(folder, 'registry'), options.networkNamespace)
      : Promise.resolve(externalRegistry(options.registry));
  return { docker, registry: () => (registry ??= open()) };
}

async function plugIn(configFolder: string, buildx: string): Promise<void> {
  const plugins = join(configFolder, 'cli-plugins');
  await mkdir(plugins, { recursive: true });
  await symlink(buildx, join(plugins, 'docker-buildx'));
}
