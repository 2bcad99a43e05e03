/** One thing that is kept, or came back. */
export interface KeptThing {
  /** `names`: of an image that is still there; `moved`: a name that was given to another image; `name`: one that came back. */
  readonly Kind: 'image' | 'name' | 'names' | 'moved' | 'container' | 'volume' | 'build-cache';
  readonly ID: string;
  readonly Name: string;
}

/** One call that removed something, `GET /wherry/v1/undo`. */
export interface UndoItem {
  readonly Number: number;
  /** What was done: `rmi`, `rm`, `image prune`, `tag`. */
  readonly Action: string;
  readonly Subject: string;
  readonly Removed: string;
  readonly Expires: string;
  /** Bytes on the disk; what an earlier one keeps as well counts there. */
  readonly Size: number;
  readonly Kept: readonly KeptThing[];
}

/** What came back, `POST /wherry/v1/undo`. */
export interface UndoneItem {
  readonly Number: number;
  readonly Action: string;
  readonly Subject: string;
  readonly Restored: readonly KeptThing[];
  /** What did not come back, and why. */
  readonly Notes: readonly string[];
}

/** `DELETE /wherry/v1/trash`. */
export interface TrashEmptied {
  readonly SpaceFreed: number;
}
