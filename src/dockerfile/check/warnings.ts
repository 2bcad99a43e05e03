import type { SourceRange } from '../location.ts';
import type { CheckOptions } from './options.ts';
import type { Rule } from './rules.ts';

/** One thing that a check found. */
export interface CheckWarning {
  readonly rule: string;
  readonly description: string;
  readonly url?: string;
  /** What is wrong here. */
  readonly detail: string;
  readonly startLine: number;
  readonly endLine: number;
}

/** Takes what the rules find, less what the options switch off. */
export class Warnings {
  readonly #options: CheckOptions;
  readonly #found: CheckWarning[] = [];

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  add(rule: Rule, { startLine, endLine }: SourceRange, detail: string): void {
    const { skip, experimental } = this.#options;
    const listed = rule.experimental ? experimental : skip;
    const isListed = listed === 'all' || listed.has(rule.name);
    if (isListed !== (rule.experimental ?? false)) return;
    const { name, description, url } = rule;
    this.#found.push({ rule: name, description, ...(url ? { url } : {}), detail, startLine, endLine });
  }

  /** By line; those of one line as they were found. */
  sorted(): CheckWarning[] {
    return this.#found.toSorted((a, b) => a.startLine - b.startLine);
  }
}
