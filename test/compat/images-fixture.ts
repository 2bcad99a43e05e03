/** What the image tests share: a daemon with the docker CLI, small image archives built in code, curl, and the files a data root holds. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { endOfArchive, packHeader, packPadding } from '#archive';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { DockerCli, findDockerCli } from '../support/docker-cli.ts';

export const home = join(import.meta.dirname, '..', '..');

export interface Setup extends AsyncDisposable {
  readonly daemon: TestDaemon;
  readonly docker: DockerCli;
  /** For archives and the like. */
  readonly folder: string;
}

/** A daemon without a bridge (nothing here needs one) and the docker CLI; undefined, said aloud, where one cannot be had. */
export async function imageSetup(t: TestContext, flags: readonly string[] = []): Promise<Setup | undefined> {
  if (!requireRoot(t)) return undefined;
  const cli = findDockerCli();
  if ('missing' in cli) {
    t.skip(cli.missing);
    return undefined;
  }
  await using owned = new AsyncDisposableStack();
  const folder = owned.use(await temporaryFolder()).path;
  const daemon = owned.use(await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false', ...flags] }));
  const docker = new DockerCli(cli.path, daemon.host, join(folder, 'config'));
  const held = owned.move();
  return { daemon, docker, folder, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

export function tarOf(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const members = Object.entries(files).flatMap(([path, content]) => {
    const bytes = Buffer.from(content as string);
    return [packHeader({ type: 'file', path, mode: 0o644, sizeBytes: bytes.length }), bytes, packPadding(bytes.length)];
  });
  return Buffer.concat([...members, endOfArchive]);
}

/** A tar of one link. */
export function linkTar(type: 'symlink' | 'hardlink', path: string, linkPath: string): Buffer {
  return Buffer.concat([packHeader({ type, path, linkPath, mode: 0o777 }), endOfArchive]);
}

export interface ImageParts {
  readonly layers: readonly Uint8Array[];
  readonly tags: readonly string[];
  readonly created?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** In place of the config and the manifest that would be right. */
  readonly config?: string;
  readonly manifest?: unknown;
}

/** The image's ID and its `docker save` archive as dockerd 1.10 to 24 wrote it. */
export function saveArchive(parts: ImageParts): { id: string; archive: Buffer } {
  const config = parts.config ?? configOf(parts);
  const name = `${sha256(config)}.json`;
  const layers = Object.fromEntries(parts.layers.map((layer, at) => [`${sha256(`${at}`)}/layer.tar`, layer]));
  const manifest = parts.manifest ?? [{ Config: name, RepoTags: parts.tags, Layers: Object.keys(layers) }];
  const archive = tarOf({ [name]: config, ...layers, 'manifest.json': JSON.stringify(manifest) });
  return { id: `sha256:${sha256(config)}`, archive };
}

function configOf({ layers, created = '2024-01-02T03:04:05Z', labels }: ImageParts): string {
  return JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    created,
    config: { Cmd: ['/x'], ...(labels ? { Labels: labels } : {}) },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
    history: layers.map((_, at) => ({ created, created_by: `layer ${at}` })),
  });
}

/** Loads an image through the CLI and answers its ID. */
export async function load(setup: Setup, parts: ImageParts): Promise<string> {
  const { id, archive } = saveArchive(parts);
  const path = join(setup.folder, 'load.tar');
  await writeFile(path, archive);
  await setup.docker.ok('load', '-qi', path);
  return id;
}

export interface Curled {
  readonly status: number;
  readonly body: string;
}

/** curl on the daemon's socket. */
export function curl(setup: Setup, method: string, path: string, ...args: string[]): Promise<Curled> {
  const socket = setup.daemon.host.slice('unix://'.length);
  const line = ['-sS', '--unix-socket', socket, '-X', method, '-w', '\n%{http_code}', `http://d/v1.51${path}`, ...args];
  return new Promise((resolve, reject) => {
    execFile('curl', line, { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`curl ${path}: ${stderr}`));
      const at = stdout.lastIndexOf('\n');
      resolve({ status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at).trimEnd() });
    });
  });
}

/** Every file below the data root, without the database's own, whose log comes and goes. */
export async function filesOf(setup: Setup): Promise<string[]> {
  const found = await readdir(setup.daemon.dataRoot, { recursive: true });
  return found.filter((path) => !/^wherry\.db/.test(path)).sort();
}

/** `wherryd verify` through the daemon that owns the root. */
export function verify(setup: Setup): { status: number | null; output: string } {
  const ran = spawnSync(join(home, 'bin/wherryd'), ['verify', '--data-root', setup.daemon.dataRoot], {
    encoding: 'utf8',
  });
  return { status: ran.status, output: ran.stdout + ran.stderr };
}

/** Debian's docker-registry on a free loopback port; undefined where it is not installed. */
export async function debianRegistry(folder: string): Promise<({ address: string } & AsyncDisposable) | undefined> {
  if (spawnSync('docker-registry', ['--version']).error) return undefined;
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  const address = `127.0.0.1:${port}`;
  const settings = join(folder, 'registry.yml');
  const storage = `storage: {filesystem: {rootdirectory: ${folder}/registry}, delete: {enabled: true}}`;
  await writeFile(settings, `version: 0.1\nlog: {level: error}\n${storage}\nhttp: {addr: '${address}'}\n`);
  const child = spawn('docker-registry', ['serve', settings], { stdio: 'ignore' });
  for (let tries = 0; tries < 200 && !(await answers(`http://${address}/v2/`)); tries++) await wait(25);
  return {
    address,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}
