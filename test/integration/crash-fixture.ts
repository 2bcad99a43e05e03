/** Clients that use a daemon all the time and remember what they were told; a crash may take nothing of that away. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Engine } from '#api-types';
import { endOfArchive, packHeader, packPadding } from '#archive';
import { connect } from '#client';
import { isKind } from '#errdefs';
import type { TestDaemon } from '../support/daemon.ts';
import { instanceOf, tracesOf } from './crash-traces.ts';

/** Seeded, so that a failure can be run again. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export function tarOf(files: Readonly<Record<string, Uint8Array | string>>): Buffer {
  return Buffer.concat([
    ...Object.entries(files).flatMap(([path, data]) => {
      const bytes = Buffer.from(data);
      return [
        packHeader({ type: 'file', path, mode: 0o644, sizeBytes: bytes.length }),
        bytes,
        packPadding(bytes.length),
      ];
    }),
    endOfArchive,
  ]);
}

/** In pieces, as a client sends it. */
export async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

export function noise(sizeBytes: number): Buffer {
  return randomFillSync(Buffer.alloc(sizeBytes));
}

export async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

const keptContainers = 4;
const keptNetworks = 4;

interface KnownContainer {
  readonly id: string;
  readonly running: boolean;
}

export class Clients {
  readonly #daemon: TestDaemon;
  readonly #random: (below: number) => number;
  readonly #mounts: boolean;
  readonly #remapped: boolean;
  /** What was answered: tag to image ID, name to container. */
  readonly #tags = new Map<string, string>();
  readonly #containers = new Map<string, KnownContainer>();
  readonly #networks = new Map<string, string>();
  /** Names of which a call was not answered: either outcome is right. */
  readonly #doubtful = new Set<string>();
  /** Every container there was. */
  readonly #seen = new Set<string>();
  readonly #surprises: string[] = [];
  readonly counts = new Map<string, number>();
  #alive = false;
  #number = 0;

  /** `mounts`: whether the storage driver mounts snapshots; one that copies has nothing to mount. `remapped`: whether containers have user namespaces. */
  constructor(
    daemon: TestDaemon,
    random: (below: number) => number,
    { mounts, remapped }: { readonly mounts: boolean; readonly remapped: boolean },
  ) {
    this.#remapped = remapped;
    this.#daemon = daemon;
    this.#random = random;
    this.#mounts = mounts;
  }

  /** Every job at once, over and over, until `stop`. */
  start(jobs: readonly ((clients: Clients, engine: Engine) => Promise<void>)[]): { stop: () => Promise<void> } {
    this.#alive = true;
    const loops = jobs.map(async (job) => {
      await using engine = connect(this.#daemon.host);
      while (this.#alive) {
        await job(this, engine).catch((error: unknown) => this.#note(error));
        await wait(this.#random(5));
      }
    });
    return {
      stop: async () => {
        this.#alive = false;
        await Promise.all(loops);
      },
    };
  }

  /** The daemon is about to be killed: failures from here on are its end. */
  expectEnd(): void {
    this.#alive = false;
  }

  /** The machine went down: whatever ran does not. */
  expectReboot(): void {
    this.#alive = false;
    for (const [name, { id }] of this.#containers) this.#containers.set(name, { id, running: false });
  }

  #note(error: unknown): void {
    if (this.#alive && !(error instanceof Unanswered)) {
      this.#surprises.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  }

  below(limit: number): number {
    return this.#random(limit);
  }

  /** A container that may be gone before anybody lists it. */
  saw(id: string): void {
    this.#seen.add(id);
  }

  fresh(prefix: string): string {
    return `${prefix}${++this.#number}`;
  }

  get containers(): ReadonlyMap<string, KnownContainer> {
    return this.#containers;
  }

  /** A call about one name; `work` answers the truth it was told. */
  async tag(what: string, name: string, work: () => Promise<string | undefined>): Promise<void> {
    const id = await this.#call(what, `tag ${name}`, work);
    if (id === undefined) this.#tags.delete(name);
    else this.#tags.set(name, id);
  }

  async container(what: string, name: string, work: () => Promise<KnownContainer | undefined>): Promise<void> {
    const known = await this.#call(what, `container ${name}`, work);
    if (known) this.#seen.add(known.id);
    if (known === undefined) this.#containers.delete(name);
    else this.#containers.set(name, known);
  }

  async network(what: string, name: string, work: () => Promise<string | undefined>): Promise<void> {
    const id = await this.#call(what, `network ${name}`, work);
    if (id === undefined) this.#networks.delete(name);
    else this.#networks.set(name, id);
  }

  async #call<T>(what: string, subject: string, work: () => Promise<T>): Promise<T> {
    if (!this.#alive) throw new Unanswered();
    this.#doubtful.add(subject);
    try {
      const answer = await work();
      // Said after the end: what a disk had by then is not known.
      if (!this.#alive) throw new Unanswered();
      this.#doubtful.delete(subject);
      this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
      return answer;
    } catch (error) {
      if (!this.#alive) throw new Unanswered();
      throw error;
    }
  }

  /** Compares the daemon, started again, with what was answered; takes over what is doubtful. */
  async settle(): Promise<void> {
    await using engine = connect(this.#daemon.host);
    assert.deepEqual(this.#surprises, [], 'calls that failed while the daemon lived');
    const images = await engine.images.list();
    this.#compare(
      'tag',
      this.#tags,
      new Map(images.flatMap((image) => (image.RepoTags ?? []).map((tag) => [tag, image.Id]))),
    );
    const found = new Map<string, KnownContainer>();
    let links = 0;
    for (const { Id, Names, State, NetworkSettings } of await engine.containers.list({ all: true })) {
      this.#seen.add(Id);
      found.set(Names[0]?.slice(1) ?? '', { id: Id, running: State === 'running' });
      links += Object.values(NetworkSettings.Networks).filter(({ IPAddress }) => IPAddress).length;
    }
    this.#compare('container', this.#containers, found);
    const kept = (await engine.trash.list()).flatMap(({ Kept }) => Kept.filter(({ Kind }) => Kind === 'container'));
    const networks = await engine.networks.list({ filters: { type: ['custom'] } });
    this.#compare('network', this.#networks, new Map(networks.map(({ Name, Id }) => [Name, Id])));
    this.#doubtful.clear();
    const { Volumes } = await engine.volumes.list({ filters: { dangling: ['true'] } });
    assert.deepEqual(Volumes ?? [], [], 'volumes without an owner');
    await this.#compareTraces(found, {
      links,
      networks: networks.map(({ Id }) => Id),
      kept: kept.map(({ ID }) => ID),
    });
    await this.#thinOut(engine);
  }

  /** Adopted containers, and networks, are as good as any: some of them end here. */
  async #thinOut(engine: Engine): Promise<void> {
    for (const [name, { id }] of [...this.#containers].slice(0, Math.max(0, this.#containers.size - keptContainers))) {
      await engine.containers.remove(id, { force: true, volumes: true });
      this.#containers.delete(name);
    }
    // There are addresses for some thirty.
    for (const [name, id] of [...this.#networks].slice(0, Math.max(0, this.#networks.size - keptNetworks))) {
      const { Containers } = await engine.networks.inspect(id);
      if (Object.keys(Containers ?? {}).length > 0) continue;
      await engine.networks.remove(id);
      this.#networks.delete(name);
    }
  }

  #compare<T>(kind: string, known: Map<string, T>, found: ReadonlyMap<string, T>): void {
    for (const name of new Set([...known.keys(), ...found.keys()])) {
      const there = found.get(name);
      if (!this.#doubtful.has(`${kind} ${name}`)) assert.deepEqual(there, known.get(name), `${kind} ${name}`);
      if (there === undefined) known.delete(name);
      else known.set(name, there);
    }
  }

  async #compareTraces(
    found: ReadonlyMap<string, KnownContainer>,
    { links, networks, kept }: { links: number; networks: readonly string[]; kept: readonly string[] },
  ): Promise<void> {
    const ownBridge = `wh-${instanceOf(this.#daemon.dataRoot)}`;
    // Those that can be brought back have their folders still.
    const all = [...[...found.values()].map(({ id }) => id), ...kept].sort();
    const running = [...found.values()].flatMap(({ id, running }) => (running ? [id] : [])).sort();
    const expected = {
      mounts: this.#mounts ? running : [],
      namespaces: running,
      monitors: running,
      bundles: running,
      cgroups: running,
      held: this.#remapped ? running.map((id) => `userns/${id}`) : [],
      snapshots: all,
      folders: all,
      bridges: [ownBridge, ...networks.map((id) => `br-${id.slice(0, 12)}`)].sort(),
      links,
      mapped: 0,
      scratch: [],
    };
    // Those of them that have volumes, with other IDs.
    const binds = new Set(running.map((id) => `binds/${id}`));
    const look = () => {
      const traces = tracesOf(this.#daemon.folder, this.#seen);
      return { ...traces, held: traces.held.filter((name) => !(this.#remapped && binds.has(name))) };
    };
    let actual = look();
    // Links and files go in the background.
    for (let tries = 0; tries < 40; tries++, actual = look()) {
      if (JSON.stringify(actual) === JSON.stringify(expected)) return;
      await wait(50);
    }
    assert.deepEqual(actual, expected, 'what is left on the machine');
  }
}

class Unanswered extends Error {}

/** `wherryd verify` of a daemon's data root, with whoever owns it. @throws with the faults. */
export async function verifies(daemon: TestDaemon): Promise<void> {
  const program = join(import.meta.dirname, '..', '..', 'bin', 'wherryd');
  const args = ['verify', '--data-root', daemon.dataRoot];
  await new Promise<void>((resolve, reject) => {
    execFile(program, args, { timeout: 60_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`wherryd verify: ${stdout}${stderr}`));
      else resolve();
    });
  });
}

export const absentIsFine = (error: unknown) => {
  if (!isKind(error, 'not-found')) throw error;
};
