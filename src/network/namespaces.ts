import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { type NamespaceHelper, NetworkError } from './helper.ts';
import { Program } from './program.ts';
import type { NetworkNamespace } from './types.ts';

/** Namespaces held by bind mounts, one file per container in one folder of the run root. */
export class Namespaces {
  readonly #helper: NamespaceHelper;
  readonly #folder: string;

  constructor(helper: NamespaceHelper, folder: string) {
    this.#helper = helper;
    this.#folder = folder;
  }

  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o755 });
  }

  pathOf(containerID: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(containerID)) {
      throw new EngineError('invalid-argument', `invalid container ID: ${containerID}`);
    }
    return join(this.#folder, containerID);
  }

  /** A namespace left under this name by an earlier daemon is replaced. */
  async create(containerID: string): Promise<NetworkNamespace> {
    const path = this.pathOf(containerID);
    try {
      await this.#helper.run(new Program().create(path));
    } catch (error) {
      if (!(error instanceof NetworkError && error.code === 'EEXIST')) throw error;
      await this.#helper.run(new Program().remove(path).create(path));
    }
    return { path };
  }

  async remove(containerID: string): Promise<void> {
    await this.#helper.run(new Program().remove(this.pathOf(containerID)));
  }

  async list(): Promise<readonly string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }
}
