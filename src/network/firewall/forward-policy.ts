import { isKind } from '#errdefs';
import { readBounded } from '#files';
import { log } from '#log';
import { type Family, families } from '../address.ts';
import type { NamespaceHelper } from '../helper.ts';
import { decodePolicy, getChain } from '../netlink/index.ts';
import { Program } from '../program.ts';
import { runTool } from './command.ts';

/** How long a seen rule is believed to be there. */
const believedMs = 60_000;

/** A FORWARD chain, by the tool that writes it. */
interface Chain {
  readonly family: Family;
  readonly tool: string;
}

const tools: Readonly<Record<Family, string>> = { 4: 'iptables', 6: 'ip6tables' };

/**
 * Gets our bridges past a FORWARD chain of another's whose policy is DROP, such as dockerd's: accepting in our own table does not end the walk through
 * theirs. Our two rules for each are the last of that chain, so that what its owner drops or counts before stays so; a comment names us.
 */
export class ForwardPolicy {
  readonly #helper: NamespaceHelper;
  readonly #owner: string;
  readonly #bridges: Readonly<Record<Family, Set<string>>> = { 4: new Set(), 6: new Set() };
  #seenAtMs = Number.NEGATIVE_INFINITY;

  constructor(helper: NamespaceHelper, owner: string) {
    this.#helper = helper;
    this.#owner = owner;
  }

  /** Takes effect with the next {@link ensure}. */
  add(family: Family, bridge: string): void {
    this.#bridges[family].add(bridge);
    this.#seenAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Adds the rules where they are needed and missing. Costs a netlink question for each family when nothing is to be done. */
  async ensure(): Promise<void> {
    if (performance.now() - this.#seenAtMs < believedMs) return;
    const chains = await this.#dropping();
    for (const chain of chains) await this.#allow(chain);
    if (chains.length > 0) this.#seenAtMs = performance.now();
  }

  /** Removes a bridge's rules wherever they are. */
  async remove(family: Family, bridge: string): Promise<void> {
    this.#bridges[family].delete(bridge);
    const all = [tools[family], ...((await hasLegacyFilter(family)) ? [`${tools[family]}-legacy`] : [])];
    for (const tool of all) {
      for (const rule of this.#rules(bridge)) {
        while (await succeeds(tool, ['-D', ...rule]));
      }
    }
  }

  async #dropping(): Promise<readonly Chain[]> {
    const chains: Chain[] = [];
    for (const family of families) {
      if (this.#bridges[family].size === 0) continue;
      const program = new Program().sendFilter('read chain FORWARD', getChain(family, 'filter', 'FORWARD'), {
        lenient: true,
      });
      const tool = tools[family];
      if (decodePolicy(await this.#helper.run(program)) === 'drop') chains.push({ family, tool });
      if (!(await hasLegacyFilter(family))) continue;
      const legacy = `${tool}-legacy`;
      const rules = await runTool(legacy, ['-w', '-S', 'FORWARD']).catch(() => '');
      if (rules.startsWith('-P FORWARD DROP')) chains.push({ family, tool: legacy });
    }
    return chains;
  }

  async #allow({ family, tool }: Chain): Promise<void> {
    for (const rule of [...this.#bridges[family]].flatMap((bridge) => this.#rules(bridge))) {
      if (await succeeds(tool, ['-C', ...rule])) continue;
      await runTool(tool, ['-w', '-A', ...rule]);
      log.info('accept forwarding of our bridge: the FORWARD policy is DROP', { tool, rule: rule.join(' ') });
    }
  }

  #rules(bridge: string): readonly (readonly string[])[] {
    const tail = ['-m', 'comment', '--comment', this.#owner, '-j', 'ACCEPT'];
    return ['-i', '-o'].map((side) => ['FORWARD', side, bridge, ...tail]);
  }
}

async function succeeds(tool: string, args: readonly string[]): Promise<boolean> {
  try {
    await runTool(tool, ['-w', ...args]);
    return true;
  } catch (error) {
    if (isKind(error, 'failed-precondition') || isKind(error, 'unknown')) return false;
    throw error;
  }
}

async function hasLegacyFilter(family: Family): Promise<boolean> {
  const file = family === 4 ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names';
  const tables = await readBounded(file, 64 << 10).catch(() => undefined);
  return tables?.toString().split('\n').includes('filter') ?? false;
}
