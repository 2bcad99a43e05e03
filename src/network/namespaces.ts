import { mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { type NamespaceHelper, NetworkError } from './helper.ts';
import { Program } from './program.ts';
import type { NetworkNamespace, UserNamespace } from './types.ts';

/** Namespaces held by bind mounts, one file per container in one folder of the run root, and those of users that own them in another. */
export class Namespaces {
  readonly #helper: NamespaceHelper;
  readonly #folder: string;
  readonly #userFolder: string;

  constructor(helper: NamespaceHelper, folders: { readonly network: string; readonly user: string }) {
    this.#helper = helper;
    this.#folder = folders.network;
    this.#userFolder = folders.user;
  }

  async start(): Promise<void> {
    for (const folder of [this.#folder, this.#userFolder]) await mkdir(folder, { recursive: true, mode: 0o755 });
  }

  pathOf(containerID: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(containerID)) {
      throw new EngineError('invalid-argument', `invalid container ID: ${containerID}`);
    }
    return join(this.#folder, containerID);
  }

  /** Where the user namespace is held that owns the network namespace at a path. */
  userPathOf(networkNamespace: string): string {
    return join(this.#userFolder, basename(networkNamespace));
  }

  /** A namespace left under this name by an earlier daemon is replaced. */
  async create(containerID: string, owner?: UserNamespace): Promise<NetworkNamespace> {
    const path = this.pathOf(containerID);
    const user = this.userPathOf(path);
    const make = (program: Program) => (owner ? program.createOwned(path, user, owner) : program.create(path));
    try {
      await this.#helper.run(make(new Program()));
    } catch (error) {
      if (!(error instanceof NetworkError && error.code === 'EEXIST')) throw error;
      await this.#helper.run(make(new Program().remove(user).remove(path)));
    }
    return owner ? { path, user } : { path };
  }

  async remove(containerID: string): Promise<void> {
    const path = this.pathOf(containerID);
    await this.#helper.run(new Program().remove(this.userPathOf(path)).remove(path));
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
