import { messageOf } from '#errdefs';
import { log } from '#log';
import { type NamespaceHelper, NetworkError } from '../helper.ts';
import { getChain, getTable } from '../netlink/index.ts';
import { Program } from '../program.ts';
import { Bus } from './bus.ts';

const name = 'org.fedoraproject.FirewallD1';
/** dockerd's, which some systems bring; else the zone that firewalld always has and that accepts. */
const zones = ['docker', 'trusted'] as const;

/** What is there while it runs: of its own kind of rules, and of those it writes by iptables. */
const traces = [getTable('both', 'firewalld'), getChain(4, 'filter', 'FORWARD_ZONES')];

/**
 * Gets our bridges past firewalld: it refuses to forward for links of no zone, and only it can be told, because it writes its rules anew whenever it likes.
 * Told at run time only: nothing of its stored configuration is changed. A bridge that somebody put into a zone stays there.
 */
export class Firewalld {
  readonly #helper: NamespaceHelper;
  readonly #bridges = new Set<string>();
  /** Those that were seen in a zone since somebody changed the ruleset; another set with each change, so that what was looked at before it does not count. */
  #seen = new Set<string>();
  #isSilent = false;

  constructor(helper: NamespaceHelper) {
    this.#helper = helper;
  }

  /** Takes effect with the next {@link ensure}. */
  add(bridge: string): void {
    this.#bridges.add(bridge);
  }

  /** Somebody changed the ruleset. */
  doubt(): void {
    this.#seen = new Set();
  }

  /** Puts bridges of no zone into one. False when firewalld is here and cannot be told, yet. Costs a netlink question where it is not. */
  async ensure(): Promise<boolean> {
    const seen = this.#seen;
    const unseen = [...this.#bridges].filter((bridge) => !seen.has(bridge));
    if (unseen.length === 0 || !(await this.#isHere())) return true;
    return this.#ask(async (call) => {
      const known = await call('getZones');
      const zone = zones.find((one) => known.includes(one)) ?? zones[1];
      for (const bridge of unseen) {
        const [present] = await call('getZoneOfInterface', bridge);
        if (!present) {
          await call('addInterface', zone, bridge);
          log.info('firewalld forwards for our bridge', { bridge, zone });
        }
        seen.add(bridge);
      }
    });
  }

  /** The bridge is about to go. */
  async remove(bridge: string): Promise<void> {
    this.#bridges.delete(bridge);
    this.#seen.delete(bridge);
    if (!(await this.#isHere())) return;
    await this.#ask(async (call) => {
      const [zone] = await call('getZoneOfInterface', bridge);
      if (zones.some((ours) => ours === zone)) await call('removeInterface', zone!, bridge);
    });
  }

  /** By its rules: a firewalld of another network namespace is not asked. */
  async #isHere(): Promise<boolean> {
    for (const question of traces) {
      try {
        await this.#helper.run(new Program().sendFilter('look for firewalld', question));
        return true;
      } catch (error) {
        if (!(error instanceof NetworkError && error.code === 'ENOENT')) throw error;
      }
    }
    return false;
  }

  /** A firewalld that cannot be asked is said once and is no reason to fail: it may be starting or ending, or have left its table behind. */
  async #ask(
    work: (call: (member: string, ...args: string[]) => Promise<readonly string[]>) => Promise<void>,
  ): Promise<boolean> {
    try {
      using bus = await Bus.open();
      await work((member, ...args) =>
        bus.call({
          destination: name,
          path: '/org/fedoraproject/FirewallD1',
          interface: `${name}.zone`,
          member,
          arguments: args,
        }),
      );
      this.#isSilent = false;
      return true;
    } catch (error) {
      if (!this.#isSilent) log.warn('firewalld could not be told of our bridges', { error: messageOf(error) });
      this.#isSilent = true;
      return false;
    }
  }
}
