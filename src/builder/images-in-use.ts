import type { Digest } from '#oci';

/** Images that builds under way made or stand on, counted: they have no name yet, and nobody may take them for dangling. */
export class ImagesInUse {
  readonly #counts = new Map<Digest, number>();

  has(id: Digest): boolean {
    return this.#counts.has(id);
  }

  /** Until the disposal of what it answers. */
  hold(id: Digest): Disposable {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    return { [Symbol.dispose]: () => this.#release(id) };
  }

  #release(id: Digest): void {
    const left = (this.#counts.get(id) ?? 1) - 1;
    if (left > 0) this.#counts.set(id, left);
    else this.#counts.delete(id);
  }
}
