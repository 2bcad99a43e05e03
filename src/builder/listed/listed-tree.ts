import type { ListedContext } from '#api-types';
import type { ByteString } from '#archive';
import { checkedEntry, decodeEntry, decodeListing, encodeEntry, type Listing } from '#context-listing';
import { EngineError } from '#errdefs';
import { type FilePart, fromBytes } from '#streams';
import { type BuildContext, pace, printable, startFileHash, type TreeNode, type Walked } from '../executor/index.ts';
import type { ListedEntries } from '../types.ts';
import type { ContextMemory, Digests } from './context-memory.ts';
import { hashedHeader, type ListedNode, ListedNodes, noAttributes } from './listed-nodes.ts';
import { ReceivedFiles } from './received-files.ts';
import { isSettled } from './stamps.ts';

export interface ListedTreeOptions {
  /** Where received contents are put, until the tree is disposed. */
  readonly dataPath: string;
  readonly memory: ContextMemory;
  /** What the daemon asks for goes to the client with the build's progress. */
  readonly report: Parameters<ListedContext['send']>[1]['report'];
  readonly signal: AbortSignal;
}

const maxEntries = 4_000_000;

/**
 * A context whose files are elsewhere. A content is asked for when its digest is needed and not remembered, or when a step that runs reads it; it is hashed
 * as it comes, so nobody's word is taken for what is in a file.
 */
export class ListedTree implements BuildContext {
  readonly #listed: Pick<ListedContext, 'send'>;
  readonly #options: ListedTreeOptions;
  readonly #listing: Listing;
  readonly #known: Digests;
  readonly #received: ReceivedFiles;
  readonly #nodes = new ListedNodes();
  /** Lines whose digest was found out in this build and will hold for the next. */
  readonly #learned = new Map<string, string>();
  /** Lines that turned out to be wrong. */
  readonly #refuted = new Set<string>();
  /** Of files that are on their way: the end of the stream they come in. */
  readonly #turns = new Map<ListedNode, Promise<void>>();
  #receiving: Promise<void> = Promise.resolve();

  private constructor(
    listed: Pick<ListedContext, 'send'>,
    listing: Listing,
    known: Digests,
    options: ListedTreeOptions,
  ) {
    this.#listed = listed;
    this.#listing = listing;
    this.#known = known;
    this.#options = options;
    this.#received = new ReceivedFiles(options.dataPath);
  }

  /** @throws EngineError `invalid-argument` for a listing that is not well-formed */
  static async open(listed: ListedContext | ListedEntries, options: ListedTreeOptions): Promise<ListedTree> {
    const given = 'entries' in listed ? listed.entries : undefined;
    const listing = 'entries' in listed ? linesOf(listed) : decodeListing(listed.listing);
    if (listing.lines.length > maxEntries) {
      throw new EngineError('invalid-argument', `build context: more than ${maxEntries} entries`);
    }
    const tree = new ListedTree(listed, listing, await options.memory.load(listing.context), options);
    const rest = pace();
    for (const [index, line] of listing.lines.entries()) {
      await rest();
      const entry = given ? checkedEntry(given[index]!, index) : decodeEntry(line, index);
      tree.#nodes.add(entry, index, tree.#known.get(line));
    }
    return tree;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#receiving.catch(() => {});
    await this.#received[Symbol.asyncDispose]();
    await this.#remember();
  }

  async lstat(path: ByteString): Promise<TreeNode | undefined> {
    return this.#nodes.get(path);
  }

  walk(path: ByteString): readonly Walked[] {
    return this.#nodes.walk(path);
  }

  async list(path: ByteString): Promise<readonly ByteString[]> {
    return this.#nodes.names(path);
  }

  async xattrs(path: ByteString): Promise<ReadonlyMap<ByteString, Uint8Array>> {
    return this.#nodes.get(path)?.attributes ?? noAttributes;
  }

  async hash(path: ByteString): Promise<string> {
    const node = this.#nodes.get(path);
    return node?.line === undefined ? printable(path) : await this.#digestOf(node);
  }

  /** A hardlink's own digest says nothing of the content it shares. */
  async contentHash(path: ByteString): Promise<string> {
    const node = this.#nodes.get(path);
    if (node?.line === undefined) return printable(path);
    const own = await this.#digestOf(node);
    return node.first ? own + (await this.#digestOf(node.first)) : own;
  }

  async expect(paths: readonly ByteString[], what: 'digests' | 'contents'): Promise<void> {
    await this.#fetch(this.#files(paths).filter((node) => what === 'contents' || node.digest === undefined));
  }

  async digestAs(path: ByteString, changed: { name?: ByteString; mode?: number }): Promise<string | undefined> {
    const node = this.#nodes.get(path);
    if (node?.type !== 'file' || node.inode !== undefined || !this.#isHere(node)) return undefined;
    const hash = startFileHash({ ...hashedHeader(node), ...changed });
    for await (const chunk of this.read(path)) hash.update(chunk);
    return hash.digest('hex');
  }

  async *read(path: ByteString): AsyncGenerator<Uint8Array> {
    const named = this.#nodes.get(path);
    const node = named?.first ?? named;
    if (node?.type !== 'file') throw new EngineError('not-found', `read ${printable(path)}: no such file`);
    if (!this.#isHere(node)) await this.#fetch([node]);
    if (node.content) yield* fromBytes(node.content);
    else if (node.sizeBytes > 0) yield* this.#received.read(node.line!, node.sizeBytes);
  }

  place(path: ByteString): FilePart | AsyncIterable<FilePart> | undefined {
    const named = this.#nodes.get(path);
    const node = named?.first ?? named;
    return node?.line === undefined || node.content ? undefined : this.#received.place(node.line, node.sizeBytes);
  }

  remove(path: ByteString): void {
    this.#nodes.remove(path);
  }

  #isHere(node: ListedNode): boolean {
    return node.content !== undefined || node.sizeBytes === 0 || this.#received.has(node.line!);
  }

  async #digestOf(node: ListedNode): Promise<string> {
    if (node.digest !== undefined) return node.digest;
    if (node.type === 'file' && !node.content && node.sizeBytes > 0) {
      await this.#fetch([node]);
      return node.digest!;
    }
    const hash = startFileHash(hashedHeader(node));
    if (node.content) hash.update(node.content);
    node.digest = hash.digest('hex');
    return node.digest;
  }

  /** The plain files among paths, hardlinks as the file they name. */
  #files(paths: readonly ByteString[]): ListedNode[] {
    const found: ListedNode[] = [];
    for (const path of paths) {
      const node = this.#nodes.get(path);
      const file = node?.first ?? node;
      if (file?.type === 'file' && !this.#isHere(file)) found.push(file);
    }
    return found;
  }

  /** What is on its way is waited for, and asked for no second time. */
  async #fetch(files: readonly ListedNode[]): Promise<void> {
    const turns = new Set<Promise<void>>();
    const missing: ListedNode[] = [];
    for (const node of new Set(files)) {
      const turn = this.#turns.get(node);
      if (turn) turns.add(turn);
      else if (!this.#isHere(node)) missing.push(node);
    }
    if (missing.length > 0) turns.add(this.#ask(missing.sort((a, b) => a.line! - b.line!)));
    await Promise.all(turns);
  }

  /** One stream at a time. */
  #ask(files: readonly ListedNode[]): Promise<void> {
    const lines = files.map((node) => node.line!);
    this.#received.expect(lines);
    const turn = this.#receiving
      .catch(() => {})
      .then(() => this.#receive(files))
      .catch((error: unknown) => {
        this.#received.giveUp(lines, error);
        throw error;
      })
      .finally(() => {
        for (const node of files) this.#turns.delete(node);
      });
    for (const node of files) this.#turns.set(node, turn);
    this.#receiving = turn;
    return turn;
  }

  async #receive(files: readonly ListedNode[]): Promise<void> {
    const { report, signal } = this.#options;
    const source = this.#listed.send(
      files.map((node) => node.line!),
      { report, signal },
    );
    await this.#received.take(
      source,
      files.map((node) => ({ line: node.line!, sizeBytes: node.sizeBytes, header: hashedHeader(node) })),
      (at, digest, asListed) => this.#note(files[at]!, digest, asListed),
    );
  }

  /** @throws `failed-precondition` when a content is not the one that a step was decided by */
  #note(node: ListedNode, digest: string, asListed: boolean): void {
    const line = this.#listing.lines[node.line!]!;
    if (node.digest !== undefined && node.digest !== digest) {
      this.#refuted.add(line);
      throw new EngineError(
        'failed-precondition',
        `build context: ${printable(node.path)} changed while the image was built: build again`,
      );
    }
    node.digest = digest;
    if (asListed && isSettled(node.stamp, this.#listing.takenMs)) this.#learned.set(line, digest);
  }

  async #remember(): Promise<void> {
    const { memory } = this.#options;
    const { context, lines } = this.#listing;
    if (this.#learned.size === 0 && this.#refuted.size === 0) return await memory.touch(context);
    const digests = new Map<string, string>();
    for (const line of lines) {
      const digest = this.#learned.get(line) ?? this.#known.get(line);
      if (digest !== undefined && !this.#refuted.has(line)) digests.set(line, digest);
    }
    await memory.save(context, digests);
  }
}

function linesOf({ context, takenMs, entries }: ListedEntries): Listing {
  return { context, takenMs, lines: entries.map(encodeEntry) };
}
