import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { fsyncFolder, removeIfPresent, writeAtomic } from '#files';
import type { Digest } from '#oci';
import { algorithms, digestOfName, type Layout } from './layout.ts';
import { recipePath } from './recipe.ts';
import type { Removals } from './removals.ts';

/** Recipes and the files they belong to. At every moment, and after a crash at any, file and recipe together read as the blob. */
export class RecipeFiles {
  readonly #layout: Layout;
  readonly #removals: Removals;

  constructor(layout: Layout, removals: Removals) {
    this.#layout = layout;
    this.#removals = removals;
  }

  /** Makes the folders; removes what a crash left, and the recipes of blobs that are gone. */
  async recover(): Promise<void> {
    for (const algorithm of algorithms) {
      const folder = this.#layout.recipeFolder(algorithm);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (const name of await readdir(folder)) {
        const digest = digestOfName(algorithm, name);
        if (!digest || !(await exists(this.#layout.blob(digest)))) await removeIfPresent(join(folder, name));
      }
    }
  }

  async list(): Promise<readonly Digest[]> {
    const found: Digest[] = [];
    for (const algorithm of algorithms) {
      const names = await readdir(this.#layout.recipeFolder(algorithm));
      found.push(...names.flatMap((name) => digestOfName(algorithm, name) ?? []));
    }
    return found;
  }

  /** The file that holds less comes after the recipe that names what it lacks. */
  async lighten(digest: Digest, staged: string, recipe: Uint8Array): Promise<void> {
    const path = await this.#fit(digest, staged);
    await writeAtomic(recipePath(path), recipe);
    await this.#replace(path, staged);
  }

  /** The file that holds more comes before the recipe that names less of it. */
  async refill(digest: Digest, staged: string, recipe: Uint8Array | undefined): Promise<void> {
    const path = await this.#fit(digest, staged);
    await this.#replace(path, staged);
    if (recipe) await writeAtomic(recipePath(path), recipe);
    else await this.forget(digest);
  }

  async forget(digest: Digest): Promise<void> {
    const path = recipePath(this.#layout.blob(digest));
    if (await removeIfPresent(path)) await fsyncFolder(dirname(path));
  }

  async #fit(digest: Digest, staged: string): Promise<string> {
    const path = this.#layout.blob(digest);
    const [{ size }, before] = await Promise.all([stat(staged), stat(path).catch(absent)]);
    if (!before) throw new EngineError('not-found', `replace blob ${digest}: not found`);
    if (before.size !== size)
      throw new EngineError('data-loss', `replace blob ${digest}: size ${size}, want ${before.size}`);
    return path;
  }

  /** The old one's blocks are freed behind the caller's back. */
  async #replace(path: string, staged: string): Promise<void> {
    await this.#removals.takeBehind(path, () => rename(staged, path));
    await fsyncFolder(dirname(path));
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(absent)) !== undefined;
}

function absent(error: unknown): undefined {
  if (!isErrno(error, 'ENOENT')) throw error;
}
