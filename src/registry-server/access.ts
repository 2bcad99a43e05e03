/** What can be done in a repository. */
export type Action = 'pull' | 'push' | 'delete';

/** What the client of one request may do. */
export interface Access {
  /** `undefined` for clients that did not say who they are. */
  readonly user: string | undefined;
  may(action: Action, name: string): boolean;
  /** Which repositories the client may know of; `undefined` is all. */
  visible(): ((name: string) => boolean) | undefined;
  /** @throws ApiError `UNAUTHORIZED` with what to do about it, or `DENIED`. */
  require(action: Action, name: string): void;
}

/** A registry without accounts: everybody may do everything. */
export const openAccess: Access = {
  user: undefined,
  may: () => true,
  visible: () => undefined,
  require: () => {},
};
