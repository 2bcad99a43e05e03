import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { BuildKitDoors } from '#api-types';
import type { BuildKit } from '#buildkit';
import { fromBytes } from '#streams';
import { exportedFiles, exportedLayout, pushBuilt } from './build-exports.ts';
import { runBuild } from './builds.ts';
import type { EngineContext } from './context.ts';
import { tagImage } from './images/tag.ts';
import { engineVersion } from './version.ts';

/** BuildKit's doors into this engine; what is behind them is loaded when the first client comes. */
export class EngineBuildKit implements BuildKitDoors, Disposable {
  readonly #ctx: EngineContext;
  readonly #engineID: string;
  #opened: Promise<BuildKit> | undefined;

  constructor(ctx: EngineContext, engineID: string) {
    this.#ctx = ctx;
    this.#engineID = engineID;
  }

  async control(socket: Duplex): Promise<void> {
    await (await this.#open()).control(socket);
  }

  async session(socket: Duplex, headers: IncomingHttpHeaders, methods: readonly string[]): Promise<void> {
    await (await this.#open()).session(socket, headers, methods);
  }

  #open(): Promise<BuildKit> {
    this.#opened ??= import('#buildkit').then(({ BuildKit }) => new BuildKit(this.#host()));
    return this.#opened;
  }

  #host(): ConstructorParameters<typeof BuildKit>[0] {
    const ctx = this.#ctx;
    return {
      id: this.#engineID,
      version: engineVersion,
      snapshotter: ctx.snapshots.name,
      platforms: [ctx.platform],
      build: ({ source, options, ...watched }) =>
        runBuild(
          ctx,
          'listed' in source
            ? { context: fromBytes(), listed: { context: source.listed, memory: ctx.contextMemory } }
            : source,
          options,
          { report: () => {}, ...watched },
        ),
      tag: (image, name) => tagImage(ctx, image, name, undefined, 'build'),
      hold: (image) => ctx.buildImages.hold(image),
      files: (image, signal) => exportedFiles(ctx, image, signal),
      layout: (images, wish) => exportedLayout(ctx, images, wish),
      push: (name, wish) => pushBuilt(ctx, name, wish),
    };
  }

  [Symbol.dispose](): void {
    void this.#opened?.then((doors) => doors[Symbol.dispose]());
  }
}
