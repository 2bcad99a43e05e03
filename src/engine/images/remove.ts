import type { Filters, ImageDeleteItem, ImagesPruned } from '#api-types';
import { EngineError } from '#errdefs';
import { chooseMember, targetOfName } from '#image';
import type { ImageRecord, Keeping } from '#metadata';
import { chainIDs } from '#oci';
import { familiarString, formatReference, parseReference, type Reference, withDefaultTag } from '#reference';
import type { EngineContext } from '../context.ts';
import { booleanFilter, checkFilterKeys, matchesLabels } from '../filters.ts';
import { shortID } from '../ids.ts';
import { collectGarbage } from './collect.ts';
import { conflictError, containerOf, containerUsing, deleteConflict, usedConflict } from './conflicts.ts';
import { untilMs } from './list.ts';
import { imagesBehind, leadOf, platformsOf, resolveForPlatform } from './platforms.ts';
import { resolveImage } from './resolve.ts';

export interface RemoveImageOptions {
  readonly force?: boolean;
  readonly noPrune?: boolean;
  /** These of the image's platforms alone; the image when it has no others. */
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
  const how = { force: options.force ?? false, prune: !(options.noPrune ?? false) };
  const some = await somePlatforms(ctx, image, name, options.platforms ?? []);
  if (some) await removal.platforms(image, name, some, how);
  else if (meansID(image, name)) await removal.byID(image, how);
  else await removal.byName(image, name, how);
  await collectGarbage(ctx, removal.keep);
  return removal.answer;
}

/** Those of an image's platforms that are meant; undefined when all of them are, and it can go as a whole. */
async function somePlatforms(
  ctx: EngineContext,
  image: ImageRecord,
  name: string,
  platforms: readonly string[],
): Promise<readonly ImageRecord[] | undefined> {
  if (platforms.length === 0) return undefined;
  const wanted = await Promise.all(platforms.map((platform) => resolveForPlatform(ctx, name, platform)));
  const some = new Map(wanted.map((one) => [one.id, one]));
  return platformsOf(ctx, image, name).every(({ id }) => some.has(id)) ? undefined : [...some.values()];
}

function meansID(image: ImageRecord, name: string): boolean {
  const hex = /^(?:sha256:)?([0-9a-f]+)$/.exec(name)?.[1];
  return hex !== undefined && image.id.startsWith(`sha256:${hex}`);
}

interface DeleteOptions {
  readonly force: boolean;
  readonly prune: boolean;
  readonly quiet: boolean;
  /** One platform of several: names it has are the whole's, no reason to keep it and not told of. */
  readonly untag?: boolean;
}

/** Another platform of an index that has a name is shown with it. */
function isStillShown(ctx: EngineContext, image: ImageRecord): boolean {
  return image.names.length > 0 || leadOf(ctx, image).names.length > 0;
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

  /** One platform after the other; the names stay with what is left. */
  async platforms(
    image: ImageRecord,
    name: string,
    some: readonly ImageRecord[],
    how: { force: boolean; prune: boolean },
  ): Promise<void> {
    const { images } = this.#ctx.metadata;
    for (const one of some) {
      const others = [image, leadOf(this.#ctx, one)].flatMap(({ names }) => names);
      if (!how.force && new Set(others).size > 1) {
        const message = `Content will be removed from all images referencing this variant (${[...new Set(others)].map((other) => familiarString(parseReference(other))).join(', ')}). Use --force to force delete.`;
        throw new EngineError(
          'conflict',
          `conflict: unable to delete ${shortID(one.id)} (must be forced) - ${message}`,
        );
      }
      const user = containerOf(this.#ctx, one);
      if (user && (user.isRunning || !how.force))
        throw conflictError(one, usedConflict(user.isRunning ? 'running' : 'stopped', user.id));
      const left = platformsOf(this.#ctx, image, name).filter(({ id }) => id !== one.id);
      await this.#handOver(images.get(one.id) ?? one, left);
      await this.#delete(one, { ...how, quiet: false, untag: true });
    }
  }

  /** The names of a platform go to the best of those that are left of each index. */
  async #handOver(one: ImageRecord, left: readonly ImageRecord[]): Promise<void> {
    const { images } = this.#ctx.metadata;
    for (const name of one.names) {
      const target = targetOfName(one, name);
      const heir = chooseMember(
        left.filter(({ targets }) => targets.includes(target.digest)),
        undefined,
        this.#ctx.platform,
      );
      if (heir) await images.tag(heir.id, name, this.keep, target);
    }
  }

  async byName(image: ImageRecord, name: string, { force, prune }: { force: boolean; prune: boolean }): Promise<void> {
    const behind = imagesBehind(this.#ctx, image);
    await this.#byName(image, name, { force, prune });
    await this.#deleteBehind(behind, { prune });
  }

  async #byName(image: ImageRecord, name: string, { force, prune }: { force: boolean; prune: boolean }): Promise<void> {
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

  async byID(image: ImageRecord, { force, prune }: { force: boolean; prune: boolean }): Promise<void> {
    const behind = imagesBehind(this.#ctx, image);
    if (hasSingleName(image)) {
      const conflict = deleteConflict(this.#ctx, image, { force, ignoreNames: true });
      if (conflict) throw conflictError(image, conflict);
      await this.#untag(image, [...image.names, ...image.repoDigests]);
    }
    await this.#delete(image, { force, prune, quiet: false });
    await this.#deleteBehind(behind, { prune });
  }

  /** What an image stood for goes with the last name of the index that they share. */
  async #deleteBehind(behind: readonly ImageRecord[], { prune }: { prune: boolean }): Promise<void> {
    const { images } = this.#ctx.metadata;
    for (const { id } of behind) {
      const image = images.get(id);
      if (!image || isStillShown(this.#ctx, image)) continue;
      await this.#delete(image, { force: false, prune, quiet: true, untag: true });
    }
  }

  /** `quiet`: a conflict ends the removal without an error unless the image would dangle unused. */
  async #delete(image: ImageRecord, options: DeleteOptions): Promise<void> {
    const current = this.#ctx.metadata.images.get(image.id);
    if (!current) return;
    const conflict = deleteConflict(this.#ctx, current, { force: options.force, ignoreNames: options.untag ?? false });
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
    if (!options.untag) this.#tellUntagged(current, names);
    this.answer.push({ Deleted: current.id });
    this.#ctx.events.emit({ type: 'image', action: 'delete', id: current.id, attributes: { name: current.id } });
    this.answer.push(...lostChains(this.#ctx, current).map((chain) => ({ Deleted: chain })));
    const parent = options.prune && current.parent ? this.#ctx.metadata.images.get(current.parent) : undefined;
    if (parent) await this.#delete(parent, { force: false, prune: true, quiet: true });
  }

  async prune(image: ImageRecord): Promise<void> {
    const behind = imagesBehind(this.#ctx, image);
    await this.#untag(image, [...image.names, ...image.repoDigests]);
    await this.#delete(image, { force: false, prune: true, quiet: true });
    await this.#deleteBehind(behind, { prune: true });
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

/** Chain IDs that nothing stands on any more, from the top down, as Docker lists deleted layers. */
function lostChains(ctx: EngineContext, removed: ImageRecord): readonly string[] {
  const chains = chainIDs(removed.diffIDs).toReversed();
  const kept = chains.findIndex((chain) => ctx.metadata.layers.isInUse(chain));
  return kept === -1 ? chains : chains.slice(0, kept);
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
    if (
      !image ||
      leadOf(ctx, image) !== image ||
      ctx.buildImages.has(id) ||
      containerUsing(ctx, image) !== undefined ||
      hasChildren(ctx, image)
    )
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
