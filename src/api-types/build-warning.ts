/** What a build check found in a Dockerfile: the rules, their names and words are BuildKit's. */
export interface BuildWarning {
  readonly rule: string;
  readonly description: string;
  /** Where the rule is explained. */
  readonly url?: string;
  readonly detail: string;
  readonly file: string;
  /** From 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
  /** The lines around, with a caret under what it is about. */
  readonly excerpt: string;
}
