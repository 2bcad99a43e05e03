import type { BuildWarning } from '#api-types';
import type { ProgressMessage } from '#transfer';

/** A step that does something, an image below one, or what steps read, under the name that BuildKit gives it. */
export interface ShownVertex {
  readonly digest: string;
  readonly inputs: readonly string[];
  readonly name: string;
}

/** What a build tells of its vertices, for clients that show a graph instead of a transcript. */
export type BuildStatus =
  /** Before any of them is told of; again with more of them. */
  | { readonly kind: 'vertexes'; readonly vertexes: readonly ShownVertex[] }
  | { readonly kind: 'started' | 'cached' | 'done'; readonly digest: string }
  | { readonly kind: 'failed'; readonly digest: string; readonly error: unknown }
  | { readonly kind: 'output'; readonly digest: string; readonly stream: 'stdout' | 'stderr'; readonly data: Buffer }
  /** Of a pull or a download. */
  | { readonly kind: 'progress'; readonly digest: string; readonly message: ProgressMessage }
  /** Of the build checks; told once. */
  | {
      readonly kind: 'warnings';
      readonly warnings: readonly BuildWarning[];
      readonly source: { readonly name: string; readonly text: string };
    };

/** Must not throw. */
export type OnStatus = (status: BuildStatus) => void;
