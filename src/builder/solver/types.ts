/**
 * A graph of work whose results are cached by content. The solver has never heard of a Dockerfile, of images or of the wire: an operation says what
 * its result depends on, and makes it.
 */

/** What a result is found by, and the parts that the digest was made of, for explanations. */
export interface CacheKey {
  readonly digest: string;
  /** Plain JSON. */
  readonly components: unknown;
  readonly description: string;
}

/** Told to an operation while it works. */
export interface Work {
  readonly signal: AbortSignal;
  /** What no cache has is then made, so that who is certain of that may begin before saying the key. */
  readonly isForReal?: boolean;
  /** Anything a listener of this vertex should see, in order. Every build that waits for the vertex sees it. */
  report(event: unknown): void;
}

/** One operation. `R` is whatever its results are; the solver only hands them on. */
export interface Op<R> {
  /**
   * The key of the result for these inputs; undefined for what must be made in every build (and is never shared). May read inputs (hash files, say).
   */
  cacheKey(inputs: readonly R[], work: Work): Promise<CacheKey | undefined>;
  /** Makes the result. Failure or abort leaves nothing behind. */
  execute(inputs: readonly R[], work: Work): Promise<R>;
}

export interface Vertex<R> {
  /** Of the operation as written and of its inputs: equal digests are the same work. */
  readonly digest: string;
  readonly inputs: readonly Vertex<R>[];
  readonly op: Op<R>;
  /** Heavy operations (processes, file trees) count against the limit; light ones never wait. */
  readonly heavy: boolean;
}

/** Where results live between builds. */
export interface ResultCache<R> {
  /** Undefined when there is none, or its result is no longer whole. */
  load(key: CacheKey, inputs: readonly R[]): Promise<R | undefined>;
  /** Resolves when the result survives a crash. */
  save(key: CacheKey, result: R, durationMs: number): Promise<void>;
}

export type VertexEvent =
  | { readonly kind: 'started' }
  | { readonly kind: 'hit'; readonly key: CacheKey }
  /** Without a key: what is made in every build. */
  | { readonly kind: 'executing'; readonly key?: CacheKey }
  | { readonly kind: 'executed' }
  | { readonly kind: 'report'; readonly event: unknown }
  | { readonly kind: 'done' }
  /** After `started`: by a fault of its own, or because it was told to stop. */
  | { readonly kind: 'failed'; readonly error: unknown };

export interface SolveOptions<R> {
  readonly signal: AbortSignal;
  readonly cache: ResultCache<R>;
  /** Do not look results up, only keep them: of all vertexes, or of some. */
  readonly ignoreCache: boolean | ((vertex: Vertex<R>) => boolean);
  readonly onEvent: (vertex: Vertex<R>, event: VertexEvent) => void;
  /** Called once with every result, hit or made, as soon as it is there. */
  readonly onResult?: (vertex: Vertex<R>, result: R) => void;
}
