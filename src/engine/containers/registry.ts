import { EngineError } from '#errdefs';
import type { Container } from './container.ts';
import { InspectedContainers } from './inspected.ts';
import type { LogForwarder } from './log-forward/forwarder.ts';
import type { StoredLink } from './record.ts';

/** The containers this engine knows, by ID and by name. Names are claimed before the container exists. */
export class ContainerRegistry {
  /** Those at work, of removed containers too, which still have something to send. */
  readonly logForwarders = new Set<LogForwarder>();
  readonly inspected = new InspectedContainers();
  readonly #byID = new Map<string, Container>();
  readonly #names = new Map<string, string>();
  readonly #making = new Set<Container>();

  all(): IterableIterator<Container> {
    return this.#byID.values();
  }

  /** Those that are still being created too: what they name is in use. */
  *users(): Generator<Container> {
    yield* this.#byID.values();
    for (const container of this.#making) if (!this.#byID.has(container.id)) yield container;
  }

  /** Until its disposal the container, which is not known yet, uses what it names. */
  making(container: Container): Disposable {
    this.#making.add(container);
    return { [Symbol.dispose]: () => void this.#making.delete(container) };
  }

  get(id: string): Container | undefined {
    return this.#byID.get(id);
  }

  /**
   * By full ID, name (with or without the leading slash), name of a link or unique ID prefix.
   * @throws `not-found` `No such container: x`; `invalid-argument` for an ambiguous prefix.
   */
  resolve(reference: string): Container {
    const exact = this.#byID.get(reference) ?? this.#byID.get(this.#names.get(reference.replace(/^\//, '')) ?? '');
    const found = exact ?? this.#byID.get(this.linkNamed(reference)?.link.containerID ?? '');
    if (found) return found;
    const matches =
      reference === '' ? [] : [...this.#byID.values()].filter((container) => container.id.startsWith(reference));
    if (matches.length > 1) {
      throw new EngineError('invalid-argument', `multiple IDs found with provided prefix: ${reference}`);
    }
    if (!matches[0]) throw new EngineError('not-found', `No such container: ${reference}`);
    return matches[0];
  }

  /** `parent/alias`: a link and whose it is. */
  linkNamed(reference: string): { readonly parent: Container; readonly link: StoredLink } | undefined {
    const [, name = '', alias] = /^\/?([^/]+)\/(.+)$/.exec(reference) ?? [];
    const parent = this.#byID.get(this.#names.get(name) ?? '');
    const link = parent?.body.links?.find((candidate) => candidate.alias === alias);
    return parent && link && { parent, link };
  }

  ownerOf(name: string): string | undefined {
    return this.#names.get(name);
  }

  /** @throws `conflict` in Docker's words when the name is taken. */
  claimName(name: string, id: string): void {
    const owner = this.#names.get(name);
    if (owner !== undefined) {
      throw new EngineError(
        'conflict',
        `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    this.#names.set(name, id);
  }

  releaseName(name: string): void {
    this.#names.delete(name);
  }

  add(container: Container): void {
    this.#names.set(container.name, container.id);
    this.#byID.set(container.id, container);
  }

  delete(container: Container): void {
    this.#byID.delete(container.id);
    this.inspected.forget(container);
    if (this.#names.get(container.name) === container.id) this.#names.delete(container.name);
  }
}
