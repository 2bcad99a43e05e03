import { Semaphore } from '#concurrency';
import { parseAddress } from './address.ts';
import type { Firewall } from './firewall/firewall.ts';
import { elementText, linkElements } from './firewall/port-elements.ts';
import type { MapElement } from './netlink/index.ts';
import type { LinkedContainer } from './types.ts';

/**
 * The ports that are open between containers of a bridge whose containers may not speak to each other: those a container was linked to. Rules are there while
 * both are connected, and name the addresses they have now.
 */
export class LinkedPorts {
  readonly #firewall: Firewall;
  /** By the container that links to others. */
  readonly #links = new Map<string, readonly LinkedContainer[]>();
  readonly #settling = new Semaphore(1);
  /** By their text: what the rules say now. */
  readonly #open = new Map<string, MapElement>();

  constructor(firewall: Firewall) {
    this.#firewall = firewall;
  }

  /** In the place of those it had; takes effect with the next {@link settle}. */
  set(containerID: string, links: readonly LinkedContainer[]): void {
    if (links.length > 0) this.#links.set(containerID, links);
    else this.#links.delete(containerID);
  }

  /** Makes the rules be those of the containers that have an IPv4 address now. */
  async settle(addressOf: (containerID: string) => string | undefined): Promise<void> {
    if (this.#links.size === 0 && this.#open.size === 0) return;
    using _held = await this.#settling.acquire();
    const wanted = this.#wanted(addressOf);
    const added = [...wanted].filter(([text]) => !this.#open.has(text));
    const gone = [...this.#open].filter(([text]) => !wanted.has(text));
    for (const [text] of gone) this.#open.delete(text);
    for (const [text, element] of added) this.#open.set(text, element);
    if (gone.length > 0) await this.#firewall.remove(gone.map(([, element]) => element));
    if (added.length > 0) await this.#firewall.add(added.map(([, element]) => element));
  }

  #wanted(addressOf: (containerID: string) => string | undefined): Map<string, MapElement> {
    const wanted = new Map<string, MapElement>();
    for (const [containerID, links] of this.#links) {
      const from = addressOf(containerID);
      for (const { containerID: linked, ports } of links) {
        const to = addressOf(linked);
        if (!from || !to) continue;
        for (const element of linkElements(containerID, parseAddress(from), parseAddress(to), ports)) {
          wanted.set(elementText(element), element);
        }
      }
    }
    return wanted;
  }
}
