/** Many clients that push, pull and delete while deleted things are collected and the server is killed in between. What was acknowledged has to hold. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface CampaignOptions {
  readonly root: string;
  readonly clients: number;
  readonly durationMs: number;
  /** How often the server is killed and started again meanwhile. */
  readonly kills: number;
  /** After a start the server collects nothing for so long: a client's push takes less. */
  readonly quietMs: number;
}

export interface CampaignReport {
  readonly pushes: number;
  readonly pulls: number;
  readonly deletes: number;
  /** Images that were acknowledged, not deleted, and read back whole at the end. */
  readonly readBack: number;
  /** Each of them a fault of the server. */
  readonly faults: readonly string[];
  readonly peakMemoryBytes: number;
}

interface Image {
  readonly name: string;
  readonly tag: string;
  readonly manifest: string;
  readonly blobs: readonly string[];
}

const repositories = 20;
const sharedLayers = 40;
const maxFaults = 20;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** The connection broke: nothing is known of what became of the request. */
class Broken extends Error {}

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const campaign = new Campaign(options);
  return await campaign.run();
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #shared = Array.from({ length: sharedLayers }, () => randomBytes(randomInt(1000, 60_000)));
  /** What the server has acknowledged and nobody has begun to delete. */
  readonly #acknowledged: Image[] = [];
  readonly #faults: string[] = [];
  readonly #counts = { pushes: 0, pulls: 0, deletes: 0 };
  #server: { child: ChildProcess; address: string } | undefined;
  #address = '127.0.0.1:0';
  #peakMemoryBytes = 0;
  #endMs = 0;

  constructor(options: CampaignOptions) {
    this.#options = options;
  }

  async run(): Promise<CampaignReport> {
    await this.#start();
    this.#endMs = performance.now() + this.#options.durationMs;
    const clients = Array.from({ length: this.#options.clients }, (_, number) => this.#client(number));
    await Promise.all([...clients, this.#kill()]);
    await this.#noteMemory();
    let readBack = 0;
    for (const image of this.#acknowledged) if (await this.#isWhole(image, 'at the end')) readBack++;
    await this.#stop('SIGTERM');
    return { ...this.#counts, readBack, faults: this.#faults, peakMemoryBytes: this.#peakMemoryBytes };
  }

  async #start(): Promise<void> {
    const main = join(import.meta.dirname, 'registry-process.ts');
    const retention = JSON.stringify({ undoMs: 0, quietMs: this.#options.quietMs });
    const flags = ['--disable-warning=ExperimentalWarning', main, this.#options.root, this.#address, retention];
    const child = spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout })) {
      this.#address = line;
      this.#server = { child, address: line };
      return;
    }
    throw new Error('the registry did not start');
  }

  async #stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this.#server!;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async #kill(): Promise<void> {
    const pauseMs = this.#options.durationMs / (this.#options.kills + 1);
    for (let kill = 0; kill < this.#options.kills; kill++) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      await this.#noteMemory();
      await this.#stop('SIGKILL');
      await this.#start();
    }
  }

  async #noteMemory(): Promise<void> {
    const status = await readFile(`/proc/${this.#server!.child.pid}/status`, 'utf8');
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
    this.#peakMemoryBytes = Math.max(this.#peakMemoryBytes, peak);
  }

  async #client(number: number): Promise<void> {
    for (let round = 0; performance.now() < this.#endMs && this.#faults.length < maxFaults; round++) {
      try {
        await this.#push(`t${number}-${round}`);
        await this.#pullOne();
        if (randomInt(3) > 0) await this.#deleteOne();
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  async #push(tag: string): Promise<void> {
    const name = `load/app${randomInt(repositories)}`;
    const config = Buffer.from(JSON.stringify({ tag, nonce: randomInt(2 ** 40) }));
    const layers = [this.#shared[randomInt(sharedLayers)]!, randomBytes(randomInt(100, 30_000))];
    const blobs: string[] = [];
    for (const bytes of [config, ...layers]) blobs.push(await this.#pushBlob(name, bytes));
    const [configDigest, ...digests] = blobs;
    const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: configDigest, size: config.length },
      layers: digests.map((digest, at) => ({ mediaType: layerType, digest, size: layers[at]!.length })),
    });
    const headers = { 'content-type': manifestType };
    const put = await this.#call('PUT', `/v2/${name}/manifests/${tag}`, { body: manifest, headers });
    if (put.status !== 201) return this.#fault(`push ${name}:${tag}: ${put.status} ${put.bytes}`);
    this.#counts.pushes++;
    this.#acknowledged.push({ name, tag, manifest, blobs });
  }

  async #pushBlob(name: string, bytes: Uint8Array): Promise<string> {
    const digest = sha256(bytes);
    if ((await this.#call('HEAD', `/v2/${name}/blobs/${digest}`)).status === 200) return digest;
    const begun = await this.#call('POST', `/v2/${name}/blobs/uploads/`);
    const put = await this.#call('PUT', `${begun.location}?digest=${digest}`, { body: bytes });
    if (put.status !== 201) this.#fault(`push blob ${digest}: ${put.status} ${put.bytes}`);
    return digest;
  }

  async #pullOne(): Promise<void> {
    const image = this.#acknowledged[randomInt(Math.max(1, this.#acknowledged.length))];
    if (image && (await this.#isWhole(image, 'pull'))) this.#counts.pulls++;
  }

  async #isWhole(image: Image, when: string): Promise<boolean> {
    const { name, tag, manifest, blobs } = image;
    const got = await this.#call('GET', `/v2/${name}/manifests/${tag}`);
    const failed = [got.bytes.toString() === manifest ? undefined : `manifest ${got.status}`];
    for (const digest of blobs) {
      const blob = await this.#call('GET', `/v2/${name}/blobs/${digest}`);
      if (sha256(blob.bytes) !== digest) failed.push(`blob ${digest} ${blob.status}`);
    }
    const faults = failed.filter(Boolean);
    // Another client may have begun to delete it meanwhile.
    if (faults.length > 0 && this.#acknowledged.includes(image)) this.#fault(`${when} ${name}:${tag}: ${faults}`);
    return faults.length === 0;
  }

  async #deleteOne(): Promise<void> {
    if (this.#acknowledged.length < 50) return;
    const [image] = this.#acknowledged.splice(randomInt(this.#acknowledged.length), 1) as [Image];
    const gone = await this.#call('DELETE', `/v2/${image.name}/manifests/${sha256(image.manifest)}`);
    if (gone.status !== 202) this.#fault(`delete ${image.name}:${image.tag}: ${gone.status}`);
    this.#counts.deletes++;
  }

  async #call(
    method: string,
    path: string,
    options: { body?: string | Uint8Array; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; location: string; bytes: Buffer }> {
    try {
      const answer = await fetch(`http://${this.#address}${path}`, { method, ...options } as RequestInit);
      const bytes = Buffer.from(await answer.arrayBuffer());
      return { status: answer.status, location: answer.headers.get('location') ?? '', bytes };
    } catch (cause) {
      throw new Broken('the connection broke', { cause });
    }
  }

  #fault(what: string): void {
    this.#faults.push(what);
  }
}
