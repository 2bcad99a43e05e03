import type { ByteString } from '#archive';
import type { SourceTree } from './source-tree.ts';

/** The files that a build was given, however they came. Dispose lets go of what it keeps; the scratch folder is the caller's. */
export interface BuildContext extends SourceTree, AsyncDisposable {
  /** Takes a name out, with everything below it. */
  remove(path: ByteString): void;
  /** What `contentHash` would be under another name or with another mode; undefined where that cannot be told. */
  digestAs(path: ByteString, changed: { name?: ByteString; mode?: number }): Promise<string | undefined>;
}
