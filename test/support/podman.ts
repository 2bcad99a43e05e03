import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { unmountBelow } from '#mount';
import { digestHex, digestOf } from '#oci';
import { temporaryFolder } from '#testing';
import { file, type Item, tarOf } from '../../src/snapshots/testsuite/layers.ts';

const run = promisify(execFile);

/** Podman with a store of its own, which goes at the end. */
export class Podman implements AsyncDisposable {
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;
  #driver = '';

  private constructor(scratch: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.#folder = scratch;
  }

  static async open(): Promise<Podman> {
    const podman = new Podman(await temporaryFolder('wherry-podman-'));
    podman.#driver = await podman.#run('info', '--format', '{{.Store.GraphDriverName}}').catch(String);
    return podman;
  }

  stacksLayers(t: TestContext): boolean {
    if (this.#driver === 'overlay') return true;
    t.skip(`no podman that stacks layers by overlayfs: ${this.#driver}`);
    return false;
  }

  /** Shows the image that was saved to a file; answers where. */
  async mount(path: string): Promise<string> {
    const loaded = await this.#run('load', '--quiet', '--input', path);
    return await this.#run('image', 'mount', loaded.split(' ').at(-1)!);
  }

  async #run(...args: string[]): Promise<string> {
    const folders = ['--root', join(this.#folder.path, 'root'), '--runroot', join(this.#folder.path, 'run')];
    const { stdout } = await run('podman', [...folders, ...args], { maxBuffer: 1 << 26 });
    return stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await unmountBelow(this.#folder.path);
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** As `docker save` writes it. */
export function savedImage(layers: readonly (readonly Item[])[]): Buffer {
  const tars = layers.map((items) => tarOf(items));
  const config = JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) },
    history: tars.map(() => ({ created_by: 'random' })),
  });
  const names = tars.map((_, i) => `layer-${i}.tar`);
  const configName = `${digestHex(digestOf(config))}.json`;
  const manifest = JSON.stringify([{ Config: configName, RepoTags: ['localhost/random:1'], Layers: names }]);
  return tarOf([
    ...tars.map((tar, i) => file(names[i]!, tar)),
    file(configName, config),
    file('manifest.json', manifest),
  ]);
}
