import type { Action } from './access.ts';

/** Who may do what where. Rules only ever allow. */
export interface Rule {
  /** Names; `*` is any text, `{user}` the user's name. */
  readonly repositories: readonly string[];
  /** Names; `*` is everybody who has one, `anonymous` everybody. */
  readonly users: readonly string[];
  readonly actions: readonly Action[];
}

/** Rules, ready to be asked. */
export class Policy {
  readonly #rules: readonly Rule[];
  readonly #patterns = new Map<string, RegExp>();

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  may(user: string | undefined, action: Action, name: string): boolean {
    return this.#rules.some(
      (rule) =>
        rule.actions.includes(action) &&
        rule.users.some((entry) => isMeant(entry, user)) &&
        rule.repositories.some((pattern) => this.#matches(pattern, user, name)),
    );
  }

  #matches(pattern: string, user: string | undefined, name: string): boolean {
    if (pattern.includes('{user}') && user === undefined) return false;
    const text = pattern.replaceAll('{user}', user ?? '');
    if (!text.includes('*')) return text === name;
    let expression = this.#patterns.get(text);
    if (!expression) this.#patterns.set(text, (expression = patternOf(text)));
    return expression.test(name);
  }
}

function isMeant(entry: string, user: string | undefined): boolean {
  return entry === 'anonymous' || (user !== undefined && (entry === '*' || entry === user));
}

export function patternOf(text: string): RegExp {
  const parts = text.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}
