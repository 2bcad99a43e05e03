import { log } from '#log';
import { type Family, families } from '../address.ts';
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
import { Firewalld } from './firewalld.ts';
import { ForwardPolicy } from './forward-policy.ts';
import { elementText } from './port-elements.ts';
import { baseRuleset, portMaps, tableFamilies, type Zone } from './ruleset.ts';
import { RulesetWatch } from './watch.ts';

/** How often the tables of others are looked at while containers come and go. */
const recheckMs = 1000;
/** How soon after a change of theirs: it is rarely a single one. */
const changedMs = 50;
/** How often a firewalld that does not answer is asked again before the next change. */
const askTries = 30;

/** The families whose firewall is ours to write. */
export type Filtered = Readonly<Record<Family, boolean>>;

/** Our tables and what we need in the tables of others: rules for every bridge of the daemon, and the ports its containers publish. */
export class Firewall implements AsyncDisposable {
  readonly table: string;
  readonly #helper: NamespaceHelper;
  readonly #forward: ForwardPolicy;
  readonly #firewalld: Firewalld;
  readonly #watch = new RulesetWatch(() => this.#changed());
  readonly #filtered: Filtered;
  readonly #zones = new Map<string, Zone>();
  /** What should be in the maps. */
  readonly #elements = new Set<MapElement>();
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #later: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #passing: Promise<void> = Promise.resolve();
  #triesLeft = 0;
  #isClosed = false;
  #checking: Promise<void> = Promise.resolve();

  constructor(helper: NamespaceHelper, owner: string, filtered: Filtered) {
    this.#helper = helper;
    this.#filtered = filtered;
    this.table = owner;
    this.#forward = new ForwardPolicy(helper, owner);
    this.#firewalld = new Firewalld(helper);
  }

  /** Takes effect with the next {@link apply}. */
  addZone(zone: Zone): void {
    const { family } = zone.subnet.base;
    if (!this.#filtered[family]) return;
    this.#zones.set(`${family} ${zone.bridge}`, zone);
    this.#forward.add(family, zone.bridge);
    this.#firewalld.add(zone.bridge);
  }

  async removeZones(bridge: string): Promise<void> {
    await this.#firewalld.remove(bridge);
    for (const family of families) {
      if (this.#zones.delete(`${family} ${bridge}`)) await this.#forward.remove(family, bridge);
    }
    await this.apply();
  }

  /** Writes the rules; elements that are there stay. A table for IPv6 is there while a network has it. */
  async apply(): Promise<void> {
    const rules = this.#used().map((family) => baseRuleset(family, this.table, this.#zonesOf(family)));
    if (rules.length > 0) await runTool('nft', ['-f', '-'], rules.join(''));
    if (!this.#used().includes(6)) await this.#drop(6);
    if (!this.#isClosed) this.#watch.start();
    await this.#passOthers();
  }

  /** As part of a connect's program. */
  addTo(program: Program, elements: readonly MapElement[]): Program {
    this.expect(elements);
    const ours = this.#ours(elements);
    if (ours.length === 0) return program;
    return program.sendFilter('publish ports', addElements(this.table, ours));
  }

  /** At once. */
  async add(elements: readonly MapElement[]): Promise<void> {
    await this.#helper.run(this.addTo(new Program(), elements));
  }

  /** Elements that are there already, or that the next {@link reconcile} puts there. */
  expect(elements: readonly MapElement[]): void {
    for (const element of this.#ours(elements)) this.#elements.add(element);
  }

  /** Removes elements; those that are gone already are fine. */
  async remove(elements: readonly MapElement[]): Promise<void> {
    for (const element of elements) this.#elements.delete(element);
    await this.#withdraw(elements);
  }

  async list(): Promise<readonly MapElement[]> {
    const found: MapElement[] = [];
    for (const family of this.#used()) {
      for (const set of Object.values(portMaps)) {
        const program = new Program().sendFilter('list published ports', listElements(family, this.table, set));
        found.push(...decodeElements(await this.#helper.run(program), family, set));
      }
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
    const lost = await this.#lost();
    for (const family of lost) yield `firewall table ${tableFamilies[family]} ${this.table} is missing`;
    if (lost.length > 0) return;
    const wanted = new Set([...this.#elements].map(elementText));
    const present = new Set((await this.list()).map(elementText));
    for (const rule of present) if (!wanted.has(rule)) yield `firewall rule ${rule} belongs to no container`;
    for (const rule of wanted) if (!present.has(rule)) yield `firewall rule ${rule} is missing`;
  }

  /** True when somebody flushed the ruleset. */
  async isLost(): Promise<boolean> {
    return (await this.#lost()).length > 0;
  }

  async #lost(): Promise<readonly Family[]> {
    const lost: Family[] = [];
    for (const family of this.#used()) if (!(await this.#isThere(family))) lost.push(family);
    return lost;
  }

  async #isThere(family: Family): Promise<boolean> {
    try {
      await this.#helper.run(new Program().sendFilter('read table', getTable(family, this.table)));
      return true;
    } catch (error) {
      ignoreGone(error);
      return false;
    }
  }

  /**
   * After a connect: puts back what others removed and passes policies others set. At most once a second, and once more a second after the last: what is
   * changed meanwhile would be seen with the next connect only.
   */
  async recheck(): Promise<void> {
    this.#checkLater();
    if (performance.now() - this.#checkedAtMs < recheckMs) return;
    this.#checkedAtMs = performance.now();
    await this.#check();
  }

  /** Somebody changed the ruleset: soon, while a longer change goes on, and when it is over. */
  #changed(): void {
    if (this.#isClosed) return;
    this.#forward.doubt();
    this.#firewalld.doubt();
    this.#triesLeft = askTries;
    this.#checkLater();
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#checkInTurn();
    }, changedMs).unref();
  }

  #checkLater(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#checkInTurn(), recheckMs).unref();
  }

  #checkInTurn(): void {
    this.#checking = this.#checking
      .then(() => (this.#isClosed ? undefined : this.#check()))
      .catch((error) => log.warn('the firewall could not be looked at', { error }));
  }

  /** Stops looking; rules stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#watch[Symbol.dispose]();
    clearTimeout(this.#later);
    clearTimeout(this.#soon);
    await this.#checking;
  }

  async #check(): Promise<void> {
    if (await this.isLost()) {
      await this.restore();
    }
    if (!this.#isClosed) this.#watch.start();
    await this.#passOthers();
  }

  /** One at a time: two that miss a rule would both write it. */
  #passOthers(): Promise<void> {
    const passed = this.#passing.then(() => this.#passOthersNow());
    this.#passing = passed.catch(() => {});
    return passed;
  }

  /** Gets our bridges past what others refuse to everybody. */
  async #passOthersNow(): Promise<void> {
    await this.#forward.ensure();
    if ((await this.#firewalld.ensure()) || this.#triesLeft-- <= 0) return;
    this.#checkLater();
  }

  async restore(): Promise<void> {
    await this.apply();
    await this.reconcile();
  }

  async #withdraw(some: readonly MapElement[]): Promise<void> {
    const elements = this.#ours(some);
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

  /** Removes everything of ours, for good: looking ends first, as it would put back what goes. */
  async teardown(): Promise<void> {
    await this[Symbol.asyncDispose]();
    for (const { bridge } of this.#zones.values()) await this.#firewalld.remove(bridge);
    for (const { bridge, subnet } of this.#zones.values()) await this.#forward.remove(subnet.base.family, bridge);
    for (const family of families) if (this.#filtered[family]) await this.#drop(family);
  }

  async #drop(family: Family): Promise<void> {
    if (!this.#filtered[family] || !(await this.#isThere(family))) return;
    await runTool('nft', ['delete', 'table', tableFamilies[family], this.table]);
  }

  #zonesOf(family: Family): Zone[] {
    return [...this.#zones.values()].filter(({ subnet }) => subnet.base.family === family);
  }

  /** IPv4's table is always there, so that the first network finds it. */
  #used(): readonly Family[] {
    return families.filter((family) => this.#filtered[family] && (family === 4 || this.#zonesOf(6).length > 0));
  }

  #ours(elements: readonly MapElement[]): readonly MapElement[] {
    return elements.filter(({ family }) => this.#filtered[family]);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof NetworkError && error.code === 'ENOENT';
}

function ignoreGone(error: unknown): void {
  if (!isGone(error)) throw error;
}
