import { isKind } from '#errdefs';
import { type NamespaceHelper, NetworkError } from '../helper.ts';
import {
  addElements,
  decodeElements,
  deleteElements,
  getTable,
  listElements,
  type MapElement,
} from '../netlink/index.ts';
import { Program } from '../program.ts';
import { runTool } from './command.ts';
import { ForwardPolicy } from './forward-policy.ts';
import { elementText } from './port-elements.ts';
import { baseRuleset, portMaps, type Zone } from './ruleset.ts';

/** How often the tables of others are looked at while containers come and go. */
const recheckMs = 1000;

/** Our table and what we need in the tables of others: rules for every bridge of the daemon, and the ports its containers publish. */
export class Firewall {
  readonly table: string;
  readonly #helper: NamespaceHelper;
  readonly #forward: ForwardPolicy;
  readonly #zones = new Map<string, Zone>();
  /** What should be in the maps. */
  readonly #elements = new Set<MapElement>();
  #checkedAtMs = Number.NEGATIVE_INFINITY;

  constructor(helper: NamespaceHelper, owner: string) {
    this.#helper = helper;
    this.table = owner;
    this.#forward = new ForwardPolicy(helper, owner);
  }

  /** Takes effect with the next {@link apply}. */
  addZone(zone: Zone): void {
    this.#zones.set(zone.bridge, zone);
    this.#forward.add(zone.bridge);
  }

  async removeZone(bridge: string): Promise<void> {
    if (!this.#zones.delete(bridge)) return;
    await this.#forward.remove(bridge);
    await this.apply();
  }

  /** Writes the rules; elements that are there stay. */
  async apply(): Promise<void> {
    await runTool('nft', ['-f', '-'], baseRuleset(this.table, [...this.#zones.values()]));
    await this.#forward.ensure();
  }

  /** As part of a connect's program. */
  addTo(program: Program, elements: readonly MapElement[]): Program {
    this.expect(elements);
    if (elements.length === 0) return program;
    return program.sendFilter('publish ports', addElements(this.table, elements));
  }

  /** Elements that are there already, or that the next {@link reconcile} puts there. */
  expect(elements: readonly MapElement[]): void {
    for (const element of elements) this.#elements.add(element);
  }

  /** Removes elements; those that are gone already are fine. */
  async remove(elements: readonly MapElement[]): Promise<void> {
    for (const element of elements) this.#elements.delete(element);
    await this.#withdraw(elements);
  }

  async list(): Promise<readonly MapElement[]> {
    const found: MapElement[] = [];
    for (const set of Object.values(portMaps)) {
      const program = new Program().sendFilter('list published ports', listElements(this.table, set));
      found.push(...decodeElements(await this.#helper.run(program), set));
    }
    return found;
  }

  /** Makes the elements be exactly those that are expected. */
  async reconcile(): Promise<void> {
    const wanted = [...this.#elements];
    const present = await this.list();
    const wantedTexts = new Set(wanted.map(elementText));
    const presentTexts = new Set(present.map(elementText));
    await this.#withdraw(present.filter((element) => !wantedTexts.has(elementText(element))));
    const missing = wanted.filter((element) => !presentTexts.has(elementText(element)));
    if (missing.length > 0) await this.#helper.run(this.addTo(new Program(), missing));
  }

  async *verify(): AsyncGenerator<string> {
    if (await this.isLost()) {
      yield `firewall table ${this.table} is missing`;
      return;
    }
    const wanted = new Set([...this.#elements].map(elementText));
    const present = new Set((await this.list()).map(elementText));
    for (const rule of present) if (!wanted.has(rule)) yield `firewall rule ${rule} belongs to no container`;
    for (const rule of wanted) if (!present.has(rule)) yield `firewall rule ${rule} is missing`;
  }

  /** True when somebody flushed the ruleset. */
  async isLost(): Promise<boolean> {
    try {
      await this.#helper.run(new Program().sendFilter('read table', getTable(this.table)));
      return false;
    } catch (error) {
      ignoreGone(error);
      return true;
    }
  }

  /** After a connect: puts back what others removed and passes policies others set. At most once a second. */
  async recheck(): Promise<void> {
    if (performance.now() - this.#checkedAtMs < recheckMs) return;
    this.#checkedAtMs = performance.now();
    if (await this.isLost()) {
      await this.restore();
    }
    await this.#forward.ensure();
  }

  async restore(): Promise<void> {
    await this.apply();
    await this.reconcile();
  }

  async #withdraw(elements: readonly MapElement[]): Promise<void> {
    if (elements.length === 0) return;
    const remove = (some: readonly MapElement[]) =>
      this.#helper.run(new Program().sendFilter('withdraw ports', deleteElements(this.table, some)));
    try {
      await remove(elements);
    } catch (error) {
      if (!isGone(error)) throw error;
      for (const element of elements) await remove([element]).catch(ignoreGone);
    }
  }

  async teardown(): Promise<void> {
    for (const bridge of this.#zones.keys()) await this.#forward.remove(bridge);
    try {
      await runTool('nft', ['delete', 'table', 'ip', this.table]);
    } catch (error) {
      if (!isKind(error, 'unknown') || !(await this.isLost())) throw error;
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof NetworkError && error.code === 'ENOENT';
}

function ignoreGone(error: unknown): void {
  if (!isGone(error)) throw error;
}
