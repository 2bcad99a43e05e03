import type { AuthConfig, ProgressMessage, SaveBase } from '#api-types';
import { formatLayerList } from '#delta';
import { parseCompression } from '#diff';
import { parseChanges } from '#dockerfile';
import { EngineError } from '#errdefs';
import { parsePlatform } from '#oci';
import {
  familiarName,
  familiarString,
  formatReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from '#reference';
import { type Part, PartedSource } from '#streams';
import {
  download,
  importImage,
  layersHere,
  loadImages,
  type OnProgress,
  pullAllTags,
  pullImage,
  pushAllTags,
  pushImage,
  reportedBody,
  saveDelta,
  saveImages,
  type TransferredImage,
  type TransferStores,
} from '#transfer';
import type { EngineContext } from '../context.ts';
import { progressStream } from '../progress-stream.ts';
import { collectGarbage } from './collect.ts';
import { resolveForPlatform } from './platforms.ts';
import { findImage } from './resolve.ts';
import { retains } from './retention.ts';
import { targetReference } from './tag.ts';

interface Waiting {
  readonly signal?: AbortSignal | undefined;
}

export interface PullOptions {
  readonly platform?: string;
  readonly allTags?: boolean;
  readonly auth?: AuthConfig;
}

export function storesOf(ctx: EngineContext): TransferStores {
  const { content, metadata, layers, snapshots, registry, platform } = ctx;
  const { maxDownloadAttempts, maxConcurrentDownloads, maxConcurrentUploads } = ctx;
  const { maxDownloadConnections } = ctx.options;
  return {
    ...{ content, metadata, layers, snapshots, registry, platform },
    ...{ maxConcurrentDownloads, maxConcurrentUploads },
    ...(maxDownloadAttempts === undefined ? {} : { maxDownloadAttempts }),
    ...(maxDownloadConnections === undefined ? {} : { maxDownloadConnections }),
    retains: retains(ctx.options),
  };
}

/** `POST /images/create?fromImage=`. */
export function pull(
  ctx: EngineContext,
  reference: string,
  options: PullOptions & Waiting = {},
): AsyncIterable<ProgressMessage> {
  return progressStream(
    (onProgress, signal) => pullInto(ctx, reference, { ...options, onProgress, signal }),
    options.signal,
  );
}

/** Pulls one reference, or all tags of a repository, and tells the events. */
export async function pullInto(
  ctx: EngineContext,
  name: string,
  options: PullOptions & { onProgress: OnProgress; signal: AbortSignal },
): Promise<void> {
  const { onProgress, signal, auth } = options;
  const call = { onProgress, signal, auth, ...(options.platform ? { platform: parsePlatform(options.platform) } : {}) };
  const parsed = parseReference(name);
  using _held = await ctx.locks.acquire(`pull ${formatReference(parsed)}`, { signal });
  const pulled = options.allTags
    ? await pullAllTags(storesOf(ctx), parsed, call)
    : [await pullImage(storesOf(ctx), withDefaultTag(parsed), call)];
  if (pulled[0]) emitTransfer(ctx, 'pull', options.allTags ? parsed : withDefaultTag(parsed), pulled[0]);
}

/** One event for a reference, be it of all tags; its name is the repository, its subject what was asked for. */
function emitTransfer(
  ctx: EngineContext,
  action: 'pull' | 'push',
  reference: Reference,
  image: TransferredImage,
): void {
  const labels = ctx.metadata.images.get(image.id)?.labels;
  const attributes = { ...labels, name: familiarName(reference) };
  ctx.events.emit({ type: 'image', action, id: familiarString(reference), attributes });
}

/** `POST /images/{name}/push`. */
export function push(
  ctx: EngineContext,
  reference: string,
  options: PullOptions & { readonly compress?: string } & Waiting = {},
): AsyncIterable<ProgressMessage> {
  const compression = options.compress ? parseCompression(options.compress) : ctx.options.pushCompression;
  return progressStream(async (onProgress, signal) => {
    const parsed = parseReference(reference);
    if (options.platform) await resolveForPlatform(ctx, familiarString(withDefaultTag(parsed)), options.platform);
    const platform = options.platform ? { platform: parsePlatform(options.platform) } : {};
    const call = { onProgress, signal, auth: options.auth, ...platform, compression };
    const pushed = options.allTags
      ? await pushAllTags(storesOf(ctx), parsed, call)
      : [await pushImage(storesOf(ctx), withDefaultTag(parsed), call)];
    if (pushed[0]) emitTransfer(ctx, 'push', options.allTags ? parsed : withDefaultTag(parsed), pushed[0]);
  }, options.signal);
}

/** `POST /images/load`. */
export function load(
  ctx: EngineContext,
  archive: AsyncIterable<Uint8Array>,
  options: { quiet?: boolean; platforms?: readonly string[] } & Waiting = {},
): AsyncIterable<ProgressMessage> {
  return progressStream(async (onProgress, signal) => {
    const loaded = await loadImages(storesOf(ctx), archive, {
      onProgress,
      signal,
      quiet: options.quiet ?? false,
      platforms: (options.platforms ?? []).map(parsePlatform),
    });
    for (const image of loaded) {
      const labels = ctx.metadata.images.get(image.id)?.labels;
      ctx.events.emit({ type: 'image', action: 'load', id: image.id, attributes: { ...labels, name: image.id } });
    }
  }, options.signal);
}

/** `GET /images/get`: every name is resolved before the first byte. */
export function save(
  ctx: EngineContext,
  names: readonly string[],
  options: { platforms?: readonly string[]; since?: SaveBase } & Waiting = {},
): PartedSource {
  return new PartedSource(savedParts(ctx, names, options));
}

async function* savedParts(...[ctx, names, options = {}]: Parameters<typeof save>): AsyncGenerator<Part> {
  const call = { signal: options.signal, platforms: (options.platforms ?? []).map(parsePlatform) };
  const stores = storesOf(ctx);
  if (options.since) yield* saveDelta(stores, names, options.since, call);
  else yield* saveImages(stores, names, call).parts;
  for (const image of names.flatMap((name) => findImage(ctx, name) ?? [])) {
    ctx.events.emit({ type: 'image', action: 'save', id: image.id, attributes: { ...image.labels, name: image.id } });
  }
}

/** What a `save` elsewhere may take for granted here. */
export async function layerDigests(ctx: EngineContext, names: readonly string[] = []): Promise<string> {
  return formatLayerList(await layersHere(storesOf(ctx), names));
}

/** `POST /images/create?fromSrc=`: the last message is the image ID. */
export function importRootfs(
  ctx: EngineContext,
  source: AsyncIterable<Uint8Array>,
  options: {
    repo?: string;
    tag?: string;
    message?: string;
    changes?: readonly string[];
    platform?: string;
    origin?: string;
  } & Waiting = {},
): AsyncIterable<ProgressMessage> {
  return progressStream(async (onProgress, signal) => {
    const target = options.repo ? importTarget(options.repo, options.tag) : undefined;
    const platform = options.platform ? parsePlatform(options.platform) : ctx.platform;
    if (platform.os !== ctx.platform.os) throw new EngineError('invalid-argument', 'operating system is not supported');
    const from = await importSource(source, options.origin ?? '-', onProgress, signal);
    const image = await importImage(storesOf(ctx), from.body, {
      signal,
      applyChanges: parseChanges(options.changes ?? []),
      ...(options.message ? { message: options.message } : {}),
      origin: from.origin,
      platform,
      ...(target ? { reference: target } : {}),
    });
    if (target) {
      const attributes = { ...ctx.metadata.images.get(image.id)?.labels, name: familiarString(target) };
      ctx.events.emit({ type: 'image', action: 'tag', id: image.id, attributes });
    }
    ctx.events.emit({ type: 'image', action: 'import', id: image.id, attributes: { name: image.id } });
    onProgress({ status: image.id });
    await collectGarbage(ctx);
  }, options.signal);
}

/** The body, or what is behind a URL; one without a scheme is meant for HTTP, as in dockerd. */
async function importSource(
  source: AsyncIterable<Uint8Array>,
  origin: string,
  onProgress: (message: ProgressMessage) => void,
  signal: AbortSignal,
): Promise<{ body: AsyncIterable<Uint8Array>; origin: string }> {
  if (origin === '-') return { body: source, origin };
  const url = /^https?:\/\//.test(origin) ? origin : `http://${origin}`;
  if (!URL.canParse(url)) throw new EngineError('invalid-argument', `parse ${JSON.stringify(url)}: invalid URL`);
  const { body, sizeBytes } = await download(url, { signal });
  onProgress({ status: `Downloading from ${url}` });
  return { body: reportedBody(body, { status: 'Importing', total: sizeBytes, onProgress }), origin: url };
}

function importTarget(repo: string, tag: string | undefined): Reference {
  if (parseReference(repo).digest !== undefined)
    throw new EngineError('invalid-argument', 'cannot import digest reference');
  return targetReference(repo, tag);
}
