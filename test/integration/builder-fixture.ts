/** A builder over real stores on a folder of the test's own; RUN steps run under chroot. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type PackEntry, packTar } from '#archive';
import {
  type BuilderHost,
  type BuildRequest,
  type BuildResult,
  buildImage,
  FileLists,
  ImagesInUse,
  type KeptStep,
  predictBuild,
  type StepRun,
} from '#builder';
import { openContentStore } from '#content';
import { createLayerIngester } from '#diff';
import { assembleImage, readConfig } from '#image';
import { openMetadata } from '#metadata';
import { type Digest, hostPlatform, type ImageConfig } from '#oci';
import { formatReference, parseReference, withDefaultTag } from '#reference';
import { openOverlay2, openVfs, type SnapshotDriver } from '#snapshots';
import { fromBytes } from '#streams';
import { temporaryFolder } from '#testing';
import type { ProgressMessage } from '#transfer';

export interface Workshop extends AsyncDisposable {
  readonly host: BuilderHost;
  readonly root: string;
  readonly steps: StepRun[];
  /** Steps whose containers were to stay; their snapshots are theirs. */
  readonly kept: KeptStep[];
  build(options: BuildInput): Promise<Built>;
  /** What `build` would do. */
  predict(options: BuildInput): ReturnType<typeof predictBuild>;
  config(id: Digest): Promise<ImageConfig>;
  /** Paths, types, owners and modes of an image, one line each. */
  files(id: Digest): Promise<string[]>;
}

export interface BuildInput extends Partial<Omit<BuildRequest, 'context'>> {
  readonly files: Readonly<Record<string, string | PackEntry>>;
}

export interface Built extends BuildResult {
  readonly output: string;
  readonly messages: readonly ProgressMessage[];
}

const busybox = '/bin/busybox';

export async function openWorkshop(driverName: 'overlay2' | 'vfs' = 'overlay2'): Promise<Workshop> {
  const folder = await temporaryFolder('wherry-builder-');
  const root = join(folder.path, 'root');
  const content = await openContentStore({ root });
  const options = { root, runRoot: join(folder.path, 'run'), contentPath: (diffID: Digest) => content.path(diffID) };
  await mkdir(options.runRoot, { recursive: true });
  const snapshots = driverName === 'vfs' ? await openVfs(options) : await openOverlay2(options);
  const metadata = await openMetadata({ root, content, driver: snapshots });
  const layers = createLayerIngester({ content });
  const steps: StepRun[] = [];
  const kept: KeptStep[] = [];
  const host: BuilderHost = {
    content,
    metadata,
    layers,
    snapshots,
    fileLists: new FileLists(join(root, 'build-files')),
    platform: hostPlatform(),
    reproducible: true,
    steps: new Set(),
    images: new ImagesInUse(),
    lendSecret: async () => assert.fail('nothing is handed over here'),
    lendSocket: async () => assert.fail('nothing is handed over here'),
    keepStep: async (step) => void kept.push(step),
    cacheMount: async () => ({
      name: 'cache',
      path: await mkdtemp(join(folder.path, 'cache-')),
      [Symbol.asyncDispose]: async () => {},
    }),
    runStep: async (step) => {
      steps.push(step);
      return { exitCode: await chroot(step, await step.rootfs), cleared: Promise.resolve() };
    },
    wasPruned: () => false,
    async localImage(reference) {
      const image = metadata.images.byName(formatReference(withDefaultTag(parseReference(reference))));
      return image && { id: image.id, config: await readConfig(content, image.id) };
    },
    async baseImage(reference) {
      const image = await host.localImage(reference);
      if (!image) throw new Error(`no image ${reference}`);
      return image;
    },
  };
  await makeBase(host);
  return {
    host,
    root,
    steps,
    kept,
    build: (input) => build(host, folder.path, input),
    predict: (input) => inScratch(folder.path, input, (request) => predictBuild(host, request)),
    config: (id) => readConfig(content, id),
    files: (id) => listFiles(host.snapshots, host, id),
    async [Symbol.asyncDispose]() {
      await layers[Symbol.asyncDispose]();
      await metadata[Symbol.asyncDispose]();
      await snapshots[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function chroot(step: StepRun, root: string): Promise<number> {
  const script = `cd "$0" && exec "$@"`;
  const args = [root, '/bin/sh', '-c', script, step.cwd, ...step.args];
  const env = Object.fromEntries(step.env.map((entry) => entry.split(/=(.*)/s).slice(0, 2) as [string, string]));
  // The step's binds, in a mount namespace that goes with the command.
  const binds = step.mounts.flatMap((mount) => (mount.kind === 'bind' ? [mount.source, mount.target] : []));
  const mounting = 'while [ "$1" != -- ]; do /bin/mount --bind "$1" "$root/$2" || exit 125; shift 2; done; shift';
  const inside = [
    '-m',
    '/bin/sh',
    '-c',
    `root=$0; ${mounting}; exec /usr/sbin/chroot "$@"`,
    root,
    ...binds,
    '--',
    ...args,
  ];
  const child = spawn('/usr/bin/unshare', inside, { env, signal: step.signal, killSignal: 'SIGKILL' });
  child.stdout.on('data', (data: Buffer) => step.onOutput('stdout', data));
  child.stderr.on('data', (data: Buffer) => step.onOutput('stderr', data));
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 137));
  });
}

async function makeBase(host: BuilderHost): Promise<void> {
  const program = await readFile(busybox);
  const directory = (path: string, mode = 0o755): PackEntry => ({ type: 'directory', path, mode });
  const file = (path: string, text: string) => ({ type: 'file', path, mode: 0o644, body: Buffer.from(text) }) as const;
  const applets = [
    'sh',
    'cat',
    'echo',
    'ls',
    'mkdir',
    'rm',
    'true',
    'false',
    'sleep',
    'chmod',
    'touch',
    'ln',
    'mv',
    'stat',
  ];
  const entries = [
    directory('bin'),
    { type: 'file', path: 'bin/busybox', mode: 0o755, body: program } as const,
    ...applets.map((name): PackEntry => ({ type: 'symlink', path: `bin/${name}`, linkPath: 'busybox', mode: 0o777 })),
    directory('etc'),
    file('etc/group', 'root:x:0:\nstaff:x:50:\napp:x:1000:\n'),
    file('etc/passwd', 'root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n'),
    directory('tmp', 0o1777),
    { type: 'symlink', path: 'lib', linkPath: 'usr/lib', mode: 0o777 } as const,
    directory('usr'),
    directory('usr/lib'),
  ];
  await using lease = await host.metadata.lease();
  const layer = await host.layers.ingest(packTar(entries.map(toItem)));
  await lease.add(layer.diffID);
  await host.metadata.layers.put({ diffID: layer.diffID, sizeBytes: layer.sizeBytes, createdMs: 1 });
  const { os, architecture } = host.platform;
  const config: ImageConfig = {
    os,
    architecture,
    config: { Env: ['PATH=/bin'], Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: [layer.diffID] },
    history: [{ created: '2020-01-01T00:00:00Z', created_by: 'base' }],
  };
  const image = await assembleImage(host.content, {
    config,
    layers: [{ diffID: layer.diffID, sizeBytes: layer.sizeBytes }],
  });
  await host.metadata.images.put(image, ['docker.io/library/tiny:latest']);
}

type Item = PackEntry & { readonly body?: Uint8Array };

function toItem(item: Item) {
  const { body, ...entry } = item;
  return { entry: { ...entry, sizeBytes: body?.length ?? 0 }, body: fromBytes(...(body ? [body] : [])) };
}

/** Files of a context: text is a file with mode 0644, anything else as given. */
export function contextTar(files: BuildInput['files']): AsyncIterable<Uint8Array> {
  const items = Object.entries(files).map(([path, value]): Item => {
    if (typeof value !== 'string') return { ...value, path };
    return { type: 'file', path, mode: 0o644, body: Buffer.from(value) };
  });
  return packTar(items.map(toItem));
}

async function build(host: BuilderHost, folder: string, input: BuildInput): Promise<Built> {
  const messages: ProgressMessage[] = [];
  const output = () => messages.map((message) => message.stream ?? '').join('');
  try {
    const onProgress = (message: ProgressMessage) => void messages.push(message);
    const result = await inScratch(folder, { onProgress, ...input }, (request) => buildImage(host, request));
    return { ...result, messages, output: output() };
  } catch (error) {
    throw Object.assign(error as Error, { output: output() });
  }
}

/** With a scratch folder that goes with the work. */
async function inScratch<T>(
  folder: string,
  input: BuildInput,
  work: (request: BuildRequest) => Promise<T>,
): Promise<T> {
  const { files, ...request } = input;
  const scratchDir = await mkdtemp(join(folder, 'scratch-'));
  try {
    return await work({
      context: contextTar(files),
      dockerfile: 'Dockerfile',
      tags: [],
      buildArgs: {},
      labels: {},
      target: '',
      noCache: false,
      explain: false,
      cacheFrom: [],
      pull: false,
      quiet: false,
      squash: false,
      keepSteps: 'none',
      networkMode: 'default',
      extraHosts: [],
      limits: {},
      scratchDir,
      onProgress: () => {},
      signal: new AbortController().signal,
      ...request,
    });
  } finally {
    await rm(scratchDir, { recursive: true });
  }
}

async function listFiles(snapshots: SnapshotDriver, host: BuilderHost, id: Digest): Promise<string[]> {
  const { rootfs } = await readConfig(host.content, id);
  await snapshots.unpack(rootfs.diff_ids);
  await snapshots.view('test-list', rootfs.diff_ids);
  try {
    const { root } = await snapshots.mount('test-list');
    return await find(root);
  } finally {
    await snapshots.remove('test-list');
  }
}

async function find(root: string): Promise<string[]> {
  const child = spawn('find', ['.', '-printf', '%P %y %m %U:%G %l\\n'], { cwd: root });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort();
}
