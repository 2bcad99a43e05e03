import { isKind } from '#errdefs';
import { readBounded } from '#files';
import { log } from '#log';
import { type Family, families } from '../address.ts';
import type { NamespaceHelper } from '../helper.ts';
import { decodePolicy, getChain } from '../netlink/index.ts';
import { Program } from '../program.ts';
import { runTool } from './command.ts';
import { type ForwardChain, isClosed, isLast, positionOf, readForwardChain } from './forward-rules.ts';

/** How long a seen rule is believed to be there. */
const believedMs = 60_000;

/** A FORWARD chain, by the tool that writes it. */
interface Chain {
  readonly family: Family;
  readonly tool: string;
  readonly found: ForwardChain;
}

const tools: Readonly<Record<Family, string>> = { 4: 'iptables', 6: 'ip6tables' };

/**
 * Gets our bridges past a FORWARD chain of another's that lets nobody by: by its policy, as dockerd's, or by a last rule, as UFW's that rejects. Accepting in
 * our own table does not end the walk through theirs. Our two rules for each are the last of that chain before that, so that what its owner drops or counts
 * before stays so; a comment names us.
 */
export class ForwardPolicy {
  readonly #helper: NamespaceHelper;
  readonly #owner: string;
  readonly #bridges: Readonly<Record<Family, Set<string>>> = { 4: new Set(), 6: new Set() };
  #seenAtMs = Number.NEGATIVE_INFINITY;
  /** How often somebody had reason to doubt what was seen. */
  #doubts = 0;

  constructor(helper: NamespaceHelper, owner: string) {
    this.#helper = helper;
    this.#owner = owner;
  }

  /** Takes effect with the next {@link ensure}. */
  add(family: Family, bridge: string): void {
    this.#bridges[family].add(bridge);
    this.doubt();
  }

  /** Somebody changed the ruleset. */
  doubt(): void {
    this.#doubts++;
    this.#seenAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Adds the rules where they are needed and missing, and takes out those that are no more. Costs a netlink question for each family when nothing is to be done. */
  async ensure(): Promise<void> {
    if (performance.now() - this.#seenAtMs < believedMs) return;
    const doubts = this.#doubts;
    const chains = await this.#chains();
    for (const chain of chains) {
      if (isClosed(chain.found)) await this.#allow(chain);
      else await this.#takeOut(chain);
    }
    // What changed meanwhile may have been seen, or not.
    const isSure = doubts === this.#doubts;
    if (isSure && chains.some(({ found }) => isClosed(found))) this.#seenAtMs = performance.now();
  }

  /** Removes a bridge's rules wherever they are. */
  async remove(family: Family, bridge: string): Promise<void> {
    this.#bridges[family].delete(bridge);
    const all = [tools[family], ...((await hasLegacyFilter(family)) ? [`${tools[family]}-legacy`] : [])];
    for (const tool of all) {
      for (const rule of this.#rules(bridge)) {
        while (await succeeds(tool, ['-D', 'FORWARD', ...rule]));
      }
    }
  }

  async #chains(): Promise<readonly Chain[]> {
    const chains: Chain[] = [];
    for (const family of families) {
      if (this.#bridges[family].size === 0) continue;
      for (const { tool, mustDrop } of await this.#toolsOf(family)) {
        const listing = await runTool(tool, ['-w', '-S']).catch((error: unknown) => {
          if (mustDrop) throw error;
          return '';
        });
        chains.push({ family, tool, found: readForwardChain(listing) });
      }
    }
    return chains;
  }

  /** The tools that have a FORWARD chain. `mustDrop`: its policy is known to be in our way. */
  async #toolsOf(family: Family): Promise<readonly { tool: string; mustDrop: boolean }[]> {
    const question = getChain(family, 'filter', 'FORWARD');
    const program = new Program().sendFilter('read chain FORWARD', question, { lenient: true });
    const policy = decodePolicy(await this.#helper.run(program));
    const tool = tools[family];
    return [
      ...(policy === undefined ? [] : [{ tool, mustDrop: policy === 'drop' }]),
      ...((await hasLegacyFilter(family)) ? [{ tool: `${tool}-legacy`, mustDrop: false }] : []),
    ];
  }

  async #allow({ family, tool, found }: Chain): Promise<void> {
    let chain = found;
    for (const rule of [...this.#bridges[family]].flatMap((bridge) => this.#rules(bridge))) {
      if (isLast(chain, rule)) continue;
      const { closedAt } = chain;
      // Where it stood before it is taken out afterwards, so that it is there all the time.
      const before = positionOf(chain, rule);
      if (closedAt === undefined) await runTool(tool, ['-w', '-A', 'FORWARD', ...rule]);
      else await runTool(tool, ['-w', '-I', 'FORWARD', String(closedAt), ...rule]);
      if (before !== undefined) {
        const moved = closedAt !== undefined && before >= closedAt ? before + 1 : before;
        await runTool(tool, ['-w', '-D', 'FORWARD', String(moved)]);
      }
      log.info('accept forwarding of our bridge: the FORWARD chain lets nobody by', { tool, rule: rule.join(' ') });
      chain = readForwardChain(await runTool(tool, ['-w', '-S']));
    }
  }

  /** A chain that lets by by itself needs no rule of ours, which would stand before what its owner writes next. */
  async #takeOut({ family, tool, found }: Chain): Promise<void> {
    for (const rule of [...this.#bridges[family]].flatMap((bridge) => this.#rules(bridge))) {
      if (positionOf(found, rule) !== undefined) await succeeds(tool, ['-D', 'FORWARD', ...rule]);
    }
  }

  #rules(bridge: string): readonly (readonly string[])[] {
    const tail = ['-m', 'comment', '--comment', this.#owner, '-j', 'ACCEPT'];
    return ['-i', '-o'].map((side) => [side, bridge, ...tail]);
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
