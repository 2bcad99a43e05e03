import { isKind } from '#errdefs';
import type { Subnet } from '../address.ts';
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
import { baseRuleset, portMaps } from './ruleset.ts';

/** How often the tables of others are looked at while containers come and go. */
const recheckMs = 1000;

/** Our table and what we need in the tables of others. */
export class Firewall {
  readonly table: string;
  readonly #helper: NamespaceHelper;
  readonly #bridge: string;
  readonly #subnet: Subnet;
  readonly #forward: ForwardPolicy;
  #checkedAtMs = Number.NEGATIVE_INFINITY;

  constructor(helper: NamespaceHelper, options: { owner: string; bridge: string; subnet: Subnet }) {
    this.#helper = helper;
    this.table = options.owner;
    this.#bridge = options.bridge;
    this.#subnet = options.subnet;
    this.#forward = new ForwardPolicy(helper, options.bridge, options.owner);
  }

  /** Writes the rules; elements that are there stay. */
  async start(): Promise<void> {
    await runTool('nft', ['-f', '-'], baseRuleset(this.table, this.#bridge, this.#subnet));
    await this.#forward.ensure();
  }

  /** As part of a connect's program. */
  addTo(program: Program, elements: readonly MapElement[]): Program {
    if (elements.length === 0) return program;
    return program.sendFilter('publish ports', addElements(this.table, elements));
  }

  /** Removes elements; those that are gone already are fine. */
  async remove(elements: readonly MapElement[]): Promise<void> {
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

  async list(): Promise<readonly MapElement[]> {
    const found: MapElement[] = [];
    for (const set of Object.values(portMaps)) {
      const program = new Program().sendFilter('list published ports', listElements(this.table, set));
      found.push(...decodeElements(await this.#helper.run(program), set));
    }
    return found;
  }

  /** Makes the elements be exactly `wanted`. */
  async reconcile(wanted: readonly MapElement[]): Promise<void> {
    const present = await this.list();
    const wantedTexts = new Set(wanted.map(elementText));
    const presentTexts = new Set(present.map(elementText));
    await this.remove(present.filter((element) => !wantedTexts.has(elementText(element))));
    const missing = wanted.filter((element) => !presentTexts.has(elementText(element)));
    if (missing.length > 0) await this.#helper.run(this.addTo(new Program(), missing));
  }

  async *verify(expected: readonly MapElement[]): AsyncGenerator<string> {
    if (await this.isLost()) {
      yield `network bridge: firewall table ${this.table} is missing`;
      return;
    }
    const wanted = new Set(expected.map(elementText));
    const present = new Set((await this.list()).map(elementText));
    for (const rule of present) if (!wanted.has(rule)) yield `network bridge: rule ${rule} belongs to no container`;
    for (const rule of wanted) if (!present.has(rule)) yield `network bridge: rule ${rule} is missing`;
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
  async recheck(wanted: () => readonly MapElement[]): Promise<void> {
    if (performance.now() - this.#checkedAtMs < recheckMs) return;
    this.#checkedAtMs = performance.now();
    if (await this.isLost()) {
      await this.start();
      await this.reconcile(wanted());
    }
    await this.#forward.ensure();
  }

  async teardown(): Promise<void> {
    await this.#forward.remove();
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
