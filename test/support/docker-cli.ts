/** The docker CLI: the one on the PATH, or Debian's package unpacked into a folder of the tests' own. No dockerd is started. */
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const cache = join(import.meta.dirname, '..', '..', '.cache', 'docker-cli');

/** Its path, or undefined with the reason when it cannot be had here. */
export function findDockerCli(): { path: string } | { missing: string } {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'docker'));
  const unpacked = join(cache, 'usr/bin/docker');
  const found = [...onPath, unpacked].find((path) => existsSync(path));
  if (found) return { path: found };
  try {
    unpack();
  } catch (error) {
    return { missing: `no docker CLI on the PATH, and its package cannot be fetched: ${String(error).split('\n')[0]}` };
  }
  return existsSync(unpacked) ? { path: unpacked } : { missing: 'the docker package holds no docker CLI' };
}

function unpack(): void {
  mkdirSync(cache, { recursive: true });
  for (const name of ['docker-cli', 'docker.io']) {
    try {
      execFileSync('apt-get', ['download', name], { cwd: cache, stdio: 'ignore' });
      break;
    } catch {}
  }
  const archive = readdirSync(cache).find((name) => name.endsWith('.deb'));
  if (!archive) throw new Error('apt-get download found neither docker-cli nor docker.io');
  execFileSync('dpkg-deb', ['-x', join(cache, archive), cache]);
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The docker CLI pointed at one daemon, with a configuration folder of its own and the classic builder, unless that folder has buildx. */
export class DockerCli {
  readonly #path: string;
  readonly #env: NodeJS.ProcessEnv;
  #major: number | undefined;

  constructor(path: string, host: string, configFolder: string, { buildx = false } = {}) {
    this.#path = path;
    this.#env = {
      ...process.env,
      DOCKER_HOST: host,
      DOCKER_BUILDKIT: buildx ? '1' : '0',
      DOCKER_CONFIG: configFolder,
      DOCKER_CLI_HINTS: 'false',
    };
  }

  /** Runs to the end; never throws for a status. */
  run(
    args: readonly string[],
    options: { input?: string | Buffer; timeoutMs?: number; cwd?: string } = {},
  ): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.#path,
        args,
        { env: this.#env, maxBuffer: 256 << 20, timeout: options.timeoutMs ?? 60_000, cwd: options.cwd },
        (error, stdout, stderr) => {
          if (error && typeof error.code === 'string') reject(error);
          else resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr });
        },
      );
      child.stdin?.on('error', () => {});
      child.stdin?.end(options.input ?? '');
    });
  }

  /** The output of a command that must succeed. */
  async ok(...args: string[]): Promise<string> {
    const ran = await this.run(args);
    if (ran.status !== 0) throw new Error(`docker ${args.join(' ')}: status ${ran.status}\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  /** Whether the CLI is older than a major version: its own words and flags differ. Asked of it once. */
  olderThan(major: number): boolean {
    this.#major ??= Number.parseInt(this.#clientVersion(), 10);
    return this.#major < major;
  }

  /** `docker version` fails where no daemon answers, and tells the client's version all the same. */
  #clientVersion(): string {
    const args = ['version', '--format', '{{.Client.Version}}'];
    const { stdout } = spawnSync(this.#path, args, { env: this.#env, encoding: 'utf8', timeout: 10_000 });
    if (!/^\d+\./.test(stdout)) throw new Error(`docker ${args.join(' ')}: ${JSON.stringify(stdout)}`);
    return stdout;
  }

  /** A running command, for streams and signals. */
  spawn(args: readonly string[]) {
    return spawn(this.#path, args, { env: this.#env, stdio: ['pipe', 'pipe', 'pipe'] });
  }
}
