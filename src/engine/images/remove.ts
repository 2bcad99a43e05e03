import type { Filters, ImageDeleteItem, ImagesPruned } from '#api-types';
import { EngineError } from '#errdefs';
import { readKnownConfig } from '#image';
import type { ImageRecord, Keeping } from '#metadata';
import { chainIDs } from '#oci';
import { familiarString, formatReference, parseReference, type Reference, withDefaultTag } from '#reference';
import type { EngineContext } from '../context.ts';
import { booleanFilter, checkFilterKeys, matchesLabels } from '../filters.ts';
import { shortID } from '../ids.ts';
import { collectGarbage } from './collect.ts';
import { conflictError, containerUsing, deleteConflict, usedConflict } from './conflicts.ts';
import { checkPlatform } from './inspect.ts';
import { untilMs } from './list.ts';
import { resolveImage } from './resolve.ts';

export interface RemoveImageOptions {
  readonly force?: boolean;
  readonly noPrune?: boolean;
  /** Only where the image is of one of these; it is of one, so all must be it. */
  readonly platforms?: readonly string[];
}

/**
 * `DELETE /images/{name}`, as dockerd's image store decides it: a name is untagged, and the image goes with its last name; an ID deletes the
 * image. @throws `conflict` in Docker's words while a container uses it, images grew from it, or several repositories name it.
 */
export async function removeImage(
  ctx: EngineContext,
  name: string,
  options: RemoveImageOptions = {},
): Promise<readonly ImageDeleteItem[]> {
  const image = resolveImage(ctx, name);
  const removal = new Removal(ctx, ctx.metadata.journal.keeping('rmi', name));
  await checkPlatforms(ctx, image, name, options.platforms ?? []);
  const force = options.force ?? false;
  const prune = !(options.noPrune ?? false);
  if (meansID(image, name)) await removal.byID(image, force, prune);
  else await removal.byName(image, name, force, prune);
  await collectGarbage(ctx, removal.keep);
  return removal.answer;
}

async function checkPlatforms(
  ctx: EngineContext,
  image: ImageRecord,
  name: string,
  platforms: readonly string[],
): Promise<void> {
  if (platforms.length === 0) return;
  const config = await readKnownConfig(ctx.content, image.id);
  for (const platform of platforms) checkPlatform(image, config, name, platform);
}

function meansID(image: ImageRecord, name: string): boolean {
  const hex = /^(?:sha256:)?([0-9a-f]+)$/.exec(name)?.[1];
  return hex !== undefined && image.id.startsWith(`sha256:${hex}`);
}

/** One delete call: what it did so far is what it answers. */
class Removal {
  readonly answer: ImageDeleteItem[] = [];
  readonly #ctx: EngineContext;
  readonly keep: Keeping | undefined;

  constructor(ctx: EngineContext, keep: Keeping | undefined) {
    this.#ctx = ctx;
    this.keep = keep;
  }

  async byName(image: ImageRecord, name: string, force: boolean, prune: boolean): Promise<void> {
    const user = containerUsing(this.#ctx, image);
    if (!force && hasSingleName(image) && user !== undefined) {
      throw new EngineError(
        'conflict',
        `conflict: unable to remove repository reference "${name}" (must force) - container ${shortID(user)} is using its referenced image ${shortID(image.id)}`,
      );
    }
    const reference = withDefaultTag(parseReference(name));
    await this.#untag(image, [formatReference(reference)]);
    const left = this.#ctx.metadata.images.get(image.id);
    if (!left) return;
    const orphans = orphanedDigests(left, reference);
    await this.#untag(left, orphans);
    if (left.names.length + left.repoDigests.length > orphans.length) return;
    await this.#delete(image, { force, prune, quiet: true });
  }

  async byID(image: ImageRecord, force: boolean, prune: boolean): Promise<void> {
    if (hasSingleName(image)) {
      const conflict = deleteConflict(this.#ctx, image, { force, ignoreNames: true });
      if (conflict) throw conflictError(image, conflict);
      await this.#untag(image, [...image.names, ...image.repoDigests]);
    }
    await this.#delete(image, { force, prune, quiet: false });
  }

  /** `quiet`: a conflict ends the removal without an error unless the image would dangle unused. */
  async #delete(image: ImageRecord, options: { force: boolean; prune: boolean; quiet: boolean }): Promise<void> {
    const current = this.#ctx.metadata.images.get(image.id);
    if (!current) return;
    const conflict = deleteConflict(this.#ctx, current, { force: options.force });
    if (conflict) {
      const dangles = current.names.length + current.repoDigests.length === 0 && !hasChildren(this.#ctx, current);
      if (options.quiet && (!dangles || conflict.used)) return;
      throw conflictError(current, conflict);
    }
    const names = [...current.names, ...current.repoDigests];
    const outcome = await this.#ctx.metadata.images.remove(current.id, { names, unused: !options.force }, this.keep);
    if (outcome.kind === 'kept') {
      if (outcome.usedBy === undefined) return await this.#delete(image, options);
      if (options.quiet) return;
      throw conflictError(current, usedConflict('stopped', outcome.usedBy));
    }
    this.#tellUntagged(current, names);
    this.answer.push({ Deleted: current.id });
    this.#ctx.events.emit({ type: 'image', action: 'delete', id: current.id, attributes: { name: current.id } });
    this.answer.push(...lostChains(this.#ctx, current).map((chain) => ({ Deleted: chain })));
    const parent = options.prune && current.parent ? this.#ctx.metadata.images.get(current.parent) : undefined;
    if (parent) await this.#delete(parent, { force: false, prune: true, quiet: true });
  }

  async prune(image: ImageRecord): Promise<void> {
    await this.#untag(image, [...image.names, ...image.repoDigests]);
    await this.#delete(image, { force: false, prune: true, quiet: true });
  }

  async #untag(image: ImageRecord, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#ctx.metadata.images.untag(image.id, names, this.keep);
    this.#tellUntagged(image, names);
  }

  #tellUntagged(image: ImageRecord, names: readonly string[]): void {
    const attributes = { ...image.labels, name: image.id };
    for (const name of names) {
      this.answer.push({ Untagged: familiarString(parseReference(name)) });
      this.#ctx.events.emit({ type: 'image', action: 'untag', id: image.id, attributes });
    }
  }
}

/** At most one tag, and every name in one repository: then an ID may stand for the name. */
function hasSingleName(image: ImageRecord): boolean {
  const repositories = new Set(
    [...image.names, ...image.repoDigests].map((name) => repositoryOf(parseReference(name))),
  );
  return image.names.length <= 1 && repositories.size <= 1;
}

/** Digested names of the repository whose last tag was just removed. */
function orphanedDigests(image: ImageRecord, removed: Reference): string[] {
  const repository = repositoryOf(removed);
  if (removed.digest !== undefined) return [];
  if (image.names.some((name) => repositoryOf(parseReference(name)) === repository)) return [];
  return image.repoDigests.filter((name) => repositoryOf(parseReference(name)) === repository);
}

const repositoryOf = (reference: Reference) => `${reference.domain}/${reference.path}`;

function hasChildren(ctx: EngineContext, image: ImageRecord): boolean {
  return ctx.metadata.images.childrenOf(image.id).length > 0;
}

/** Chain IDs that neither an image nor a container has any more, from the top down, as Docker lists deleted layers. */
function lostChains(ctx: EngineContext, removed: ImageRecord): string[] {
  const chains = [
    ...ctx.metadata.images.list().map((image) => image.diffIDs),
    ...[...ctx.containers.all()].flatMap(({ body }) => [
      body.chain,
      ...body.mounts.flatMap((mount) => (mount.kind === 'image' ? [mount.chain] : [])),
    ]),
  ];
  const kept = new Set(chains.flatMap((chain) => chainIDs(chain) as readonly string[]));
  return chainIDs(removed.diffIDs)
    .filter((chain) => !kept.has(chain))
    .reverse();
}

/** `POST /images/prune`: dangling images, or with `dangling=false` every image no container uses. */
export async function pruneImages(ctx: EngineContext, options: { filters?: Filters } = {}): Promise<ImagesPruned> {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['dangling', 'label', 'label!', 'until']);
  const danglingOnly = booleanFilter(filters, 'dangling') ?? true;
  const until = untilMs(filters);
  const keep = ctx.metadata.journal.keeping('image prune', '');
  const removal = new Removal(ctx, keep);
  for (const { id } of [...ctx.metadata.images.list()]) {
    const image = ctx.metadata.images.get(id);
    if (!image || ctx.buildImages.has(id) || containerUsing(ctx, image) !== undefined || hasChildren(ctx, image))
      continue;
    if (!matchesLabels(image.labels, filters) || (until !== undefined && image.createdMs >= until)) continue;
    if (danglingOnly && image.names.length + image.repoDigests.length > 0) continue;
    await removal.prune(image);
  }
  // What pulls that failed left for another try goes, too.
  await ctx.metadata.dropLeft();
  await ctx.content.removeLeftIngests();
  const freedBytes = await collectGarbage(ctx, keep);
  ctx.events.emit({ type: 'image', action: 'prune', id: '', attributes: { reclaimed: String(freedBytes) } });
  return { ImagesDeleted: removal.answer.length > 0 ? removal.answer : null, SpaceReclaimed: freedBytes };
}
