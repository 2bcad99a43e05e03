import { EngineError } from '#errdefs';
import type { ImageRecord, ImageTable } from '#metadata';
import { formatReference, fullName, parseAnyReference, type Reference } from '#reference';

/** One image to save, under these names; none when it was asked for by ID. */
export interface SelectedImage {
  readonly image: ImageRecord;
  readonly references: readonly Reference[];
}

/**
 * What the names of a `save` mean: an ID in full or short, a tag, a digest, or a repository with all its tags. Images in the order asked for,
 * each once.
 * @throws `not-found`, `invalid-argument` in Docker's words.
 */
export function resolveSaveNames(images: ImageTable, names: readonly string[]): readonly SelectedImage[] {
  const selected = new Map<string, { image: ImageRecord; references: Map<string, Reference> }>();
  for (const name of names) {
    for (const { image, reference } of resolveName(images, name)) {
      let entry = selected.get(image.id);
      if (!entry) selected.set(image.id, (entry = { image, references: new Map() }));
      if (reference) entry.references.set(formatReference(reference), reference);
    }
  }
  return [...selected.values()].map(({ image, references }) => ({
    image,
    references: [...references.values()],
  }));
}

interface Match {
  readonly image: ImageRecord;
  readonly reference?: Reference;
}

function resolveName(images: ImageTable, name: string): readonly Match[] {
  const parsed = parseAnyReference(name);
  if (parsed.kind === 'id') {
    const image = images.get(parsed.digest) ?? images.byTarget(parsed.digest);
    if (!image) throw new EngineError('not-found', `No such image: ${name}`);
    return [{ image }];
  }
  const { reference } = parsed;
  if (reference.digest !== undefined) return [{ image: required(images.byRepoDigest(digested(reference))) }];
  if (reference.tag !== undefined) return [{ image: required(images.byName(formatReference(reference))), reference }];
  const tagged = tagsOf(images, reference);
  return tagged.length > 0 ? tagged : [{ image: byShortID(images, name) }];
}

function digested(reference: Reference): string {
  return `${fullName(reference)}@${reference.digest}`;
}

function required(image: ImageRecord | undefined): ImageRecord {
  if (!image) throw new EngineError('not-found', 'reference does not exist');
  return image;
}

function tagsOf(images: ImageTable, repository: Reference): readonly Match[] {
  const prefix = `${fullName(repository)}:`;
  return images
    .list()
    .flatMap((image) =>
      image.names
        .filter((name) => name.startsWith(prefix))
        .map((name) => ({ image, reference: { ...repository, tag: name.slice(prefix.length) } })),
    );
}

function byShortID(images: ImageTable, name: string): ImageRecord {
  const found = /^[0-9a-f]+$/.test(name) ? images.byPrefix(name) : [];
  if (found.length > 1) throw new EngineError('not-found', `image ID ${name} is ambiguous`);
  if (!found[0]) throw new EngineError('not-found', `No such image: ${name}`);
  return found[0];
}
