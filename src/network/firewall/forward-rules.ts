/** The FORWARD chain of iptables as text: where it ends for everybody, and where rules of ours are. */

/** The policy, and the rules in order, as `iptables -S` lists them: `-j ACCEPT` of `-A FORWARD -j ACCEPT`. */
export interface ForwardChain {
  readonly drops: boolean;
  readonly rules: readonly string[];
  /** From 1: the first rule that lets nobody by. What stands behind it is never asked. */
  readonly closedAt: number | undefined;
}

const refusal = /^-j (DROP|REJECT)\b/;
/** UFW keeps its REJECT of forwarded packets, where that is its policy, in a chain of this name: `ufw-reject-forward`, `ufw6-reject-forward`. */
const closingJump = /^-j (ufw6?-reject-forward)$/;

/**
 * Only what is for everybody counts as closed: a policy by another name. Chains of the user, such as DOCKER-USER, forbid what they forbid.
 */
export function readForwardChain(listing: string): ForwardChain {
  const rulesOf = (chain: string) => {
    const start = `-A ${chain} `;
    return listing.split('\n').flatMap((line) => (line.startsWith(start) ? [line.slice(start.length).trim()] : []));
  };
  const rules = rulesOf('FORWARD');
  const closes = (rule: string) => {
    const [, chain] = closingJump.exec(rule) ?? [];
    return refusal.test(rule) || (chain !== undefined && rulesOf(chain).some((inner) => refusal.test(inner)));
  };
  const at = rules.findIndex(closes);
  return { drops: /^-P FORWARD DROP$/m.test(listing), rules, closedAt: at < 0 ? undefined : at + 1 };
}

/** From 1. `rule` as it is given to the tool; listings may put a comment in quotes. */
export function positionOf({ rules }: ForwardChain, rule: readonly string[]): number | undefined {
  const text = rule.join(' ');
  const at = rules.findIndex((one) => one.replaceAll('"', '') === text);
  return at < 0 ? undefined : at + 1;
}

/** Lets nobody by who was not let by before. */
export function isClosed({ drops, closedAt }: ForwardChain): boolean {
  return drops || closedAt !== undefined;
}

/** A rule of a daemon like this one. */
const ofDaemon = /--comment "?wherry-/;

/** True when between the rule and where the chain closes there is nothing but rules of its kind: what others forbid is asked before. */
export function isLast(chain: ForwardChain, rule: readonly string[]): boolean {
  const at = positionOf(chain, rule);
  const end = (chain.closedAt ?? chain.rules.length + 1) - 1;
  return at !== undefined && at <= end && chain.rules.slice(at, end).every((one) => ofDaemon.test(one));
}
