import { isKind } from '#errdefs';
import { readBounded } from '#files';
import { log } from '#log';
import type { NamespaceHelper } from '../helper.ts';
import { decodePolicy, getChain } from '../netlink/index.ts';
import { Program } from '../program.ts';
import { runTool } from './command.ts';

/** How long a seen rule is believed to be there. */
const believedMs = 60_000;

/**
 * Gets our bridges past a FORWARD chain of another's whose policy is DROP, such as dockerd's: accepting in our own table does not end the walk through
 * theirs. Our two rules for each are the last of that chain, so that what its owner drops or counts before stays so; a comment names us.
 */
export class ForwardPolicy {
  readonly #helper: NamespaceHelper;
  readonly #owner: string;
  readonly #bridges = new Set<string>();
  #seenAtMs = Number.NEGATIVE_INFINITY;

  constructor(helper: NamespaceHelper, owner: string) {
    this.#helper = helper;
    this.#owner = owner;
  }

  /** Takes effect with the next {@link ensure}. */
  add(bridge: string): void {
    this.#bridges.add(bridge);
    this.#seenAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Adds the rules where they are needed and missing. Costs one netlink question when nothing is to be done. */
  async ensure(): Promise<void> {
    if (performance.now() - this.#seenAtMs < believedMs) return;
    const tools = await this.#droppingTools();
    for (const tool of tools) await this.#allow(tool);
    if (tools.length > 0) this.#seenAtMs = performance.now();
  }

  /** Removes a bridge's rules wherever they are. */
  async remove(bridge: string): Promise<void> {
    this.#bridges.delete(bridge);
    for (const tool of await this.#tools()) {
      for (const rule of this.#rules(bridge)) {
        while (await succeeds(tool, ['-D', ...rule]));
      }
    }
  }

  async #droppingTools(): Promise<readonly string[]> {
    const tools: string[] = [];
    const program = new Program().sendFilter('read chain FORWARD', getChain('filter', 'FORWARD'), {
      lenient: true,
    });
    if (decodePolicy(await this.#helper.run(program)) === 'drop') tools.push('iptables');
    if (await hasLegacyFilter()) {
      const rules = await runTool('iptables-legacy', ['-w', '-S', 'FORWARD']).catch(() => '');
      if (rules.startsWith('-P FORWARD DROP')) tools.push('iptables-legacy');
    }
    return tools;
  }

  async #tools(): Promise<readonly string[]> {
    return (await hasLegacyFilter()) ? ['iptables', 'iptables-legacy'] : ['iptables'];
  }

  async #allow(tool: string): Promise<void> {
    for (const rule of [...this.#bridges].flatMap((bridge) => this.#rules(bridge))) {
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

async function hasLegacyFilter(): Promise<boolean> {
  const tables = await readBounded('/proc/net/ip_tables_names', 64 << 10).catch(() => undefined);
  return tables?.toString().split('\n').includes('filter') ?? false;
}
