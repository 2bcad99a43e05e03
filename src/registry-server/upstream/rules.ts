import { EngineError } from '#errdefs';
import { parseReference, type Reference } from '#reference';
import type { RegistryAuth } from '#registry';

/** Which repositories here are copies of which elsewhere. */
export interface UpstreamRule {
  /** `docker.io/*` or one name. */
  readonly repositories: string;
  /** `docker.io/*`, `quay.io/team/*`: the host and what the star stands for there. */
  readonly upstream: string;
  /** A tag is believed for so long. */
  readonly revalidateMs: number;
  /** What nobody has pulled for so long goes; nothing does when left out. */
  readonly keepMs?: number | undefined;
  /** The copies of this rule may take so much together; when they take more, what was pulled longest ago goes. */
  readonly keepBytes?: number | undefined;
  readonly auth?: RegistryAuth | undefined;
}

export interface Upstream {
  readonly rule: UpstreamRule;
  readonly reference: Reference;
}

/** @throws `invalid-argument` for a rule that means nothing. */
export function checkRule({ repositories, upstream }: UpstreamRule): void {
  const stars = [repositories, upstream].map((text) => text.split('*').length - 1);
  const isEven = stars[0] === stars[1] && stars[0]! <= 1;
  if (!isEven || [repositories, upstream].some((text) => text.includes('*') && !text.endsWith('*'))) {
    throw new EngineError(
      'invalid-argument',
      `upstream ${repositories} → ${upstream}: want a name on both sides, or a * at the end of both`,
    );
  }
  parseReference(upstream.replace('*', 'x'));
}

/** What the repository is a copy of; the first rule that fits counts. */
export function upstreamOf(rules: readonly UpstreamRule[], name: string): Upstream | undefined {
  for (const rule of rules) {
    const rest = restOf(rule.repositories, name);
    if (rest === undefined) continue;
    try {
      return { rule, reference: parseReference(rule.upstream.replace('*', () => rest)) };
    } catch {
      // A name that is none there is a copy of nothing.
    }
  }
  return undefined;
}

/** What the star stands for; nothing where the name does not fit. */
function restOf(pattern: string, name: string): string | undefined {
  if (!pattern.endsWith('*')) return pattern === name ? '' : undefined;
  const prefix = pattern.slice(0, -1);
  return name.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : undefined;
}
