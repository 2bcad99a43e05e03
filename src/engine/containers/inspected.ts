import type { ContainerInspect } from '#api-types';
import type { Container } from './container.ts';

export type GraphData = ContainerInspect['GraphDriver']['Data'];

/** An answer, and all that it was made of: each of these is replaced when it changes, never altered. */
interface Inspected extends Pick<Container, 'body' | 'name' | 'execIDs'> {
  readonly places: string;
  readonly answer: ContainerInspect;
}

/** Who waits for something inspects the same few containers again and again. */
const keptAnswers = 64;

/** The last answers to who inspected containers, as long as nothing that they show has changed. */
export class InspectedContainers {
  readonly #answers = new Map<Container, Inspected>();

  /** What was answered last where it is still true, else what `describe` says. */
  answer(container: Container, graph: GraphData, describe: () => ContainerInspect): ContainerInspect {
    const { body, name, execIDs } = container;
    // Links show the names of other containers.
    if (body.links?.length) return describe();
    const places = JSON.stringify(graph);
    const known = this.#answers.get(container);
    const isCurrent =
      known?.body === body && known.name === name && known.execIDs === execIDs && known.places === places;
    if (isCurrent) return known.answer;
    const answer = describe();
    this.#keep(container, { body, name, execIDs, places, answer });
    return answer;
  }

  #keep(container: Container, inspected: Inspected): void {
    this.#answers.delete(container);
    this.#answers.set(container, inspected);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > keptAnswers) this.#answers.delete(oldest!);
  }

  forget(container: Container): void {
    this.#answers.delete(container);
  }
}
