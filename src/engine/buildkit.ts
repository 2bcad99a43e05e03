import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { BuildKitDoors, PostedBuild, ProgressMessage } from '#api-types';
import type { ContextFiles, NamedContext } from '#builder';
import type { BuildFiles, BuildKit, BuildWish } from '#buildkit';
import { fromBytes } from '#streams';
import { listBuildCache, pruneBuildCache } from './build-cache.ts';
import { exportedFiles, exportedLayout, pushBuilt, pushCache } from './build-exports.ts';
import { indexBuilt, tagIndex } from './build-index.ts';
import { type BuildInput, checkBuild, runBuild } from './builds.ts';
import { hostGateways } from './containers/account-files.ts';
import type { EngineContext } from './context.ts';
import { findImage } from './images/resolve.ts';
import { tagImage } from './images/tag.ts';
import { pullInto } from './images/transfers.ts';
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

  async *build(posted: PostedBuild): AsyncGenerator<ProgressMessage> {
    yield* (await this.#open()).build(posted);
  }

  async cancel(buildID: string): Promise<void> {
    (await this.#opened)?.cancel(buildID);
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
      hostGateway: hostGateways(ctx)[0],
      build: (wish) => runBuild(ctx, inputOf(ctx, wish), wish.options, watchedBy(wish)),
      check: (wish) => checkBuild(ctx, inputOf(ctx, wish), wish.options, watchedBy(wish)),
      tag: (image, name) => tagImage(ctx, image, name, undefined, 'build'),
      index: (images) => indexBuilt(ctx, images),
      tagIndex: (index, name) => tagIndex(ctx, index, name),
      pushCache: (image, name, wish) => pushCache(ctx, image, name, wish),
      async cacheImage(reference, wish) {
        if (!findImage(ctx, reference)) await pullInto(ctx, reference, wish);
      },
      buildCache: () => listBuildCache(ctx),
      pruneBuildCache: (options) => pruneBuildCache(ctx, options),
      wanted: (image, isWanted) => ctx.metadata.images.setByTheWay(image, !isWanted),
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

function inputOf(ctx: EngineContext, wish: BuildWish): BuildInput {
  const contexts = [...wish.contexts].map(([name, files]): [string, NamedContext] => {
    return [name, files.kind === 'image' ? files : { kind: 'files', ...contextFiles(ctx, files) }];
  });
  const { dockerfileText, handedOver, credentials } = wish;
  const text = dockerfileText ? { dockerfileText } : {};
  return { ...contextFiles(ctx, wish.files), contexts: new Map(contexts), ...text, handedOver, credentials };
}

function contextFiles({ contextMemory: memory }: EngineContext, files: BuildFiles): ContextFiles {
  if (files.kind === 'tar') return { context: files.bytes };
  const nothing = { context: fromBytes() };
  if (files.kind === 'remote') return { ...nothing, remote: files.url, dropsGit: !files.keepsGit };
  return { ...nothing, synced: { folder: files.folder, memory } };
}

function watchedBy({ onStatus, onBuilt, shownPlatform, signal }: BuildWish) {
  return { report: () => {}, onStatus, onBuilt, signal, ...(shownPlatform === undefined ? {} : { shownPlatform }) };
}
