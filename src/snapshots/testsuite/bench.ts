import assert from 'node:assert/strict';
import { bytesFromUtf8 } from '#archive';
import { mountsBelow, unmountBelow } from '#mount';
import { treeDifferences } from '../tree-differences.ts';
import type { Chain, DriverOptions, SnapshotDriver } from '../types.ts';
import { TestRoot } from './layers.ts';

export type OpenDriver = (options: DriverOptions) => Promise<SnapshotDriver>;

/** A driver on a fresh data root, and one of plain copies to compare it with. At the end nothing may be mounted. */
export class Bench implements AsyncDisposable {
  readonly root: TestRoot;
  readonly driver: SnapshotDriver;
  readonly #reference: OpenDriver;

  private constructor(root: TestRoot, driver: SnapshotDriver, reference: OpenDriver) {
    this.root = root;
    this.driver = driver;
    this.#reference = reference;
  }

  static async open(driver: OpenDriver, reference: OpenDriver): Promise<Bench> {
    const root = await TestRoot.open();
    return new Bench(root, await driver(root.options('tested')), reference);
  }

  /** Mounts a new writable snapshot of the chain. */
  async start(key: string, chain: Chain): Promise<string> {
    await this.driver.unpack(chain);
    await this.driver.prepare(key, chain);
    return (await this.driver.mount(key)).root;
  }

  async stop(key: string): Promise<void> {
    await this.driver.unmount(key);
    await this.driver.remove(key);
  }

  /** How the chain differs from plain copies of the same layers. */
  async differencesFromCopies(chain: Chain): Promise<string[]> {
    await using reference = await this.#reference(this.root.options('reference'));
    await reference.unpack(chain);
    await reference.prepare('copies', chain);
    const copies = (await reference.mount('copies')).root;
    const tested = await this.start('tested', chain);
    const differences = treeDifferencesOf(copies, tested);
    await this.stop('tested');
    await reference.remove('copies');
    return differences;
  }

  mounts(): string[] {
    return mountsBelow(this.root.path).map(({ target }) => target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    const left = this.mounts();
    await unmountBelow(this.root.path);
    await this.root[Symbol.asyncDispose]();
    // Thrown here it would hide what made the test fail before it could clean up.
    if (left.length > 0) queueMicrotask(() => assert.fail(`mounts left behind: ${left.join(', ')}`));
  }
}

export function treeDifferencesOf(left: string, right: string): string[] {
  return [...treeDifferences(bytesFromUtf8(left), bytesFromUtf8(right))];
}
