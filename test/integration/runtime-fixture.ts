/** A runtime on a run root of its own and a busybox root, for the runtime's integration tests. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Attachment,
  type ContainerSpec,
  type CreatedContainer,
  type CreateOptions,
  openRuntime,
  type ProcessSpec,
  type Runtime,
} from '#runtime';
import { temporaryFolder } from '#testing';

const applets = ['sh', 'cat', 'echo', 'sleep', 'true', 'stty', 'head', 'seq', 'dd', 'grep', 'id', 'df', 'tail'];
/** Docker's default capabilities. */
const capabilities = [
  ...['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_FOWNER', 'CAP_MKNOD', 'CAP_NET_RAW', 'CAP_SETGID'],
  ...['CAP_SETUID', 'CAP_SETFCAP', 'CAP_SETPCAP', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_KILL'],
  'CAP_AUDIT_WRITE',
];

/** One for each test process, so that it can be removed at its end. */
export const cgroupParent = `/wherry-test-${process.pid}`;

/** The parent cgroup stays when its containers go; a test leaves nothing. */
export function removeCgroupParent(): void {
  const roots = readdirSync('/sys/fs/cgroup', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const path of ['/sys/fs/cgroup', ...roots.map((entry) => join('/sys/fs/cgroup', entry.name))]) {
    if (existsSync(path + cgroupParent)) rmdirSync(path + cgroupParent);
  }
}

export interface Fixture extends AsyncDisposable {
  readonly folder: string;
  readonly runtime: Runtime;
  spec(args: readonly string[], more?: SpecChanges): ContainerSpec;
  /** Creates, attaches when asked, starts. */
  run(
    args: readonly string[],
    more?: SpecChanges & Partial<CreateOptions>,
  ): Promise<{ id: string; container: CreatedContainer; attachment: Attachment; logPath: string }>;
}

type SpecChanges = Partial<ContainerSpec> & { readonly terminal?: boolean };

export function processSpec(args: readonly string[], more: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    args,
    env: ['PATH=/bin', 'TERM=xterm'],
    cwd: '/',
    terminal: false,
    uid: 0,
    gid: 0,
    additionalGids: [],
    capabilities,
    noNewPrivileges: false,
    ...more,
  };
}

export async function makeRootfs(path: string): Promise<string> {
  for (const name of ['bin', 'dev', 'proc', 'sys', 'tmp', 'etc']) {
    await mkdir(join(path, name), { recursive: true });
  }
  await copyFile('/bin/busybox', join(path, 'bin', 'busybox'));
  await Promise.all(applets.map((name) => symlink('busybox', join(path, 'bin', name))));
  return path;
}

export function containerSpec(rootfs: string, args: readonly string[], more: SpecChanges = {}): ContainerSpec {
  const { terminal = false, ...changes } = more;
  return {
    id: `t${randomBytes(6).toString('hex')}`,
    rootfs,
    readonlyRootfs: false,
    hostname: 'box',
    process: processSpec(args, { terminal }),
    mounts: [],
    shmSizeBytes: 8 << 20,
    resources: {},
    networkNamespace: 'host',
    privileged: false,
    sysctls: {},
    cgroupParent,
    annotations: {},
    ...changes,
  };
}

export async function openFixture(): Promise<Fixture> {
  const folder = await temporaryFolder('wherry-runtime-');
  const rootfs = await makeRootfs(join(folder.path, 'rootfs'));
  const runtime = await openRuntime({ runRoot: join(folder.path, 'run') });
  const spec = (args: readonly string[], more: SpecChanges = {}) => containerSpec(rootfs, args, more);
  return {
    folder: folder.path,
    runtime,
    spec,
    async run(args, { openStdin = false, stdinOnce, signal, ...more } = {}) {
      const made = spec(args, more);
      const logPath = join(folder.path, `${made.id}.log`);
      const container = await runtime.create(made, {
        openStdin,
        logPath,
        ...(stdinOnce !== undefined && { stdinOnce }),
        ...(signal && { signal }),
      });
      const attachment = await container.process.attach({ input: openStdin });
      await container.start();
      return { id: made.id, container, attachment, logPath };
    },
    async [Symbol.asyncDispose]() {
      for (const id of await runtime.list()) {
        await runtime.adopt(id);
        await runtime.delete(id, { force: true });
      }
      await runtime[Symbol.asyncDispose]();
      removeCgroupParent();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** What an attachment got, by stream, when it has ended. */
export async function collect(attachment: Attachment): Promise<{ stdout: Buffer; stderr: Buffer }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of attachment.output) parts[chunk.stream].push(chunk.data);
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

/** Waits until `text` has come over standard output; answers all that came. */
export async function until(output: AsyncIterator<{ data: Uint8Array }>, text: string): Promise<string> {
  let seen = '';
  while (!seen.includes(text)) {
    const { done, value } = await output.next();
    if (done) throw new Error(`output ended before ${JSON.stringify(text)}: ${JSON.stringify(seen)}`);
    seen += Buffer.from(value.data).toString();
  }
  return seen;
}
