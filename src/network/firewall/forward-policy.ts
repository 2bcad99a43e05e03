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
 * Gets our bridge past a FORWARD chain of another's whose policy is DROP, such as dockerd's: accepting in our own table does not end the walk through
 * theirs. Our two rules are the last of that chain, so that what its owner drops or counts before stays so; a comment names us.
 */
export class ForwardPolicy {
  readonly #helper: NamespaceHelper;
  readonly #bridge: string;
  readonly #owner: string;
  #seenAtMs = Number.NEGATIVE_INFINITY;

  constructor(helper: NamespaceHelper, bridge: string, owner: string) {
    this.#helper = helper;
    this.#bridge = bridge;
    this.#owner = owner;
  }

  /** Adds the rules where they are needed and missing. Costs one netlink question when nothing is to be done. */
  async ensure(): Promise<void> {
    if (performance.now() - this.#seenAtMs < believedMs) return;
    const tools = await this.#droppingTools();
    for (const tool of tools) await this.#allow(tool);
    if (tools.length > 0) this.#seenAtMs = performance.now();
  }

  /** Removes the rules wherever they are. */
  async remove(): Promise<void> {
    for (const tool of await this.#tools()) {
      for (const rule of this.#rules()) {
        while (await succeeds(tool, ['-D', ...rule]));
      }
    }
    this.#seenAtMs = Number.NEGATIVE_INFINITY;
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
    for (const rule of this.#rules()) {
      if (await succeeds(tool, ['-C', ...rule])) continue;
      await runTool(tool, ['-w', '-A', ...rule]);
      log.info('accept forwarding of our bridge: the FORWARD policy is DROP', { tool, bridge: this.#bridge });
    }
  }

  #rules(): readonly (readonly string[])[] {
    const tail = ['-m', 'comment', '--comment', this.#owner, '-j', 'ACCEPT'];
    return ['-i', '-o'].map((side) => ['FORWARD', side, this.#bridge, ...tail]);
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
