/** The buildx plugin of the docker CLI, where there is one: `WHERRY_BUILDX` names it, else it is looked for where plugins are. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Ran } from './docker-cli.ts';

const name = 'docker-buildx';
const folders = ['lib', 'libexec', 'local/lib', 'local/libexec'].map((part) => `/usr/${part}/docker/cli-plugins`);

/** Its path, or the reason why there is none. */
export function findBuildx(): { path: string } | { missing: string } {
  const named = process.env['WHERRY_BUILDX'];
  const config = process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker');
  const found = [named, ...[join(config, 'cli-plugins'), ...folders].map((folder) => join(folder, name))];
  const path = found.find((each) => each !== undefined && existsSync(each));
  return path === undefined ? { missing: 'no buildx: WHERRY_BUILDX may name the plugin' } : { path };
}

/** A docker CLI with the plugin, pointed at one daemon. */
export class Buildx {
  readonly #docker: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(docker: string, env: NodeJS.ProcessEnv) {
    this.#docker = docker;
    this.#env = env;
  }

  /** `folder` becomes its configuration. */
  static async create(parts: { docker: string; buildx: string; host: string; folder: string }): Promise<Buildx> {
    const plugins = join(parts.folder, 'cli-plugins');
    await mkdir(plugins, { recursive: true });
    await symlink(parts.buildx, join(plugins, name));
    const { DOCKER_BUILDKIT: _classic, ...env } = process.env;
    return new Buildx(parts.docker, {
      ...env,
      DOCKER_HOST: parts.host,
      DOCKER_CONFIG: parts.folder,
      DOCKER_CLI_HINTS: 'false',
      BUILDX_CONFIG: join(parts.folder, 'buildx'),
      BUILDKIT_PROGRESS: 'plain',
    });
  }

  run(cwd: string, args: readonly string[], input: string | Buffer = ''): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const options = { cwd, env: this.#env, maxBuffer: 64 << 20, timeout: 60_000 };
      const child = execFile(this.#docker, args, options, (error, stdout, stderr) => {
        if (error && typeof error.code === 'string') reject(error);
        else resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr });
      });
      child.stdin?.on('error', () => {});
      child.stdin?.end(input);
    });
  }
}
