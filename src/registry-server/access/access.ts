/** What can be done in a repository. */
export const actions = ['pull', 'push', 'delete'] as const;
export type Action = (typeof actions)[number];

/** What the client of one request may do. */
export interface Access {
  /** `undefined` for clients that did not say who they are. */
  readonly user: string | undefined;
  /** Whether there are accounts at all. */
  readonly hasAccounts: boolean;
  may(action: Action, name: string): boolean;
  /** Which repositories the client may know of; `undefined` is all. */
  visible(): ((name: string) => boolean) | undefined;
  /** @throws ApiError `UNAUTHORIZED` with what to do about it, or `DENIED`. */
  require(action: Action, name: string): void;
  /** For what belongs to no repository. @throws ApiError `UNAUTHORIZED` for clients that should say who they are first, by a token for that scope. */
  requireLogin(scope?: string): void;
}

/** A registry without accounts: everybody may do everything. */
export const openAccess: Access = {
  user: undefined,
  hasAccounts: false,
  may: () => true,
  visible: () => undefined,
  require: () => {},
  requireLogin: () => {},
};
