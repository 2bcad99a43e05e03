import { join } from 'node:path';
import type { ByteString } from '#archive';
import { EngineError } from '#errdefs';
import type { StoredLayer } from '#image';
import type { Digest } from '#oci';
import { type CopyOperation, sourceKind } from '../convert/index.ts';
import type { CacheKey, Op, Work } from '../solver/index.ts';
import { copyAhead } from './copy-ahead.ts';
import { copyLayer, type LayerCopy } from './copy-layer.ts';
import { DiskTree } from './disk-tree.ts';
import { checkOut, parseGitReference } from './git-source.ts';
import { inlineTree } from './inline-tree.ts';
import { missingHint } from './missing-source.ts';
import type { Moment } from './moment.ts';
import { fetchFile } from './remote-file.ts';
import type { StepReport } from './report.ts';
import {
  componentsDigest,
  type FileComponent,
  type Found,
  fileComponents,
  type Selected,
  selectSources,
  shownHash,
  timesDigest,
} from './selection.ts';
import { type BuildSession, chainOf } from './session.ts';
import type { SourceTree } from './source-tree.ts';
import type { StepState } from './state.ts';
import { stepKey, timePart } from './step-key.ts';

/** File components kept in a cache record, for explanations; those of a larger copy are kept beside it. */
const maxKeptComponents = 2000;

/** COPY and ADD: found and hashed for the key, copied only on a miss. */
export class CopyOp implements Op<StepState> {
  readonly #session: BuildSession;
  readonly #operation: CopyOperation;
  #selected: Promise<readonly Selected[]> | undefined;
  /** The layer, where it is made while its files come. */
  #ahead: { readonly layer: Promise<StoredLayer | undefined> } | undefined;
  /** Of a large copy: what its record has no room for. */
  #listed: { readonly content: string; readonly files: readonly FileComponent[] } | undefined;

  constructor(session: BuildSession, operation: CopyOperation) {
    this.#session = session;
    this.#operation = operation;
  }

  async cacheKey(inputs: readonly StepState[], work: Work): Promise<CacheKey> {
    const { keyword, destination, chown, chmod, from, excludes, parents, unpack } = this.#operation;
    const selected = await this.#select(inputs, work);
    const files = await fileComponents(selected, {
      withOwners: this.#keepsOwners,
      signal: work.signal,
    });
    const createdBy = this.#createdBy(selected);
    const content = componentsDigest(files);
    if (files.length > maxKeptComponents) this.#listed = { content, files };
    return stepKey(
      inputs[0]!,
      createdBy,
      {
        operation: keyword,
        ...(await this.#timeParts(selected, this.#momentOf(inputs), work)),
        from: from.kind,
        destination,
        chown,
        chmod,
        ...(excludes.length > 0 ? { excludes } : {}),
        ...(parents ? { parents } : {}),
        ...(unpack === undefined ? {} : { unpack }),
        content,
        ...(files.length <= maxKeptComponents ? { files } : {}),
      },
      this.#operation.written,
    );
  }

  async execute(inputs: readonly StepState[], work: Work): Promise<StepState> {
    const selected = await this.#select(inputs, work);
    const { fileLists } = this.#session.host;
    const listing = this.#listed && fileLists.keep(this.#listed.content, this.#listed.files);
    const layer = await (this.#ahead?.layer ??
      copyLayer(this.#session, this.#operation, this.#copyOf(inputs, selected), work));
    const { config, author } = this.#operation;
    const createdBy = this.#createdBy(selected);
    await listing;
    const moment = this.#momentOf(inputs);
    return this.#session.recorder.next(inputs[0]!, { config, author, createdBy, moment, ...(layer ? { layer } : {}) });
  }

  #copyOf(inputs: readonly StepState[], sources: readonly Found[]): LayerCopy {
    return { parent: inputs[0]!, moment: this.#momentOf(inputs), sources, keepsOwners: this.#keepsOwners };
  }

  /** An image that is copied from counts as one that the step stands on. */
  #momentOf(inputs: readonly StepState[]): Moment {
    return this.#session.momentOf(inputs);
  }

  /** Times of a stage, an image or a server are copied along, so a copy with others is another one. */
  async #timeParts(selected: readonly Selected[], moment: Moment, { signal }: Work) {
    if (moment === undefined || selected.every((source) => source.isTimeless)) return timePart(moment);
    return { ...timePart(moment), fileTimes: await timesDigest(selected, { moment, signal }) };
  }

  /** COPY --from without --chown. */
  get #keepsOwners(): boolean {
    return this.#operation.from.kind !== 'context' && this.#operation.chown === '';
  }

  #createdBy(selected: readonly Selected[]): string {
    const { keyword, chown, chmod, destination, shell } = this.#operation;
    const flags = (chown === '' ? '' : `--chown=${chown} `) + (chmod === '' ? '' : `--chmod=${chmod} `);
    return [...shell, `#(nop) ${keyword} ${flags}${shownHash(selected)} in ${destination} `].join(' ');
  }

  #select(inputs: readonly StepState[], work: Work): Promise<readonly Selected[]> {
    this.#selected ??= this.#find(inputs, work);
    return this.#selected;
  }

  async #find(inputs: readonly StepState[], work: Work): Promise<readonly Selected[]> {
    const { keyword, sources, inline, destination, from, excludes, parents } = this.#operation;
    const isContext = from.kind === 'context';
    const missingPrefix = isContext ? 'file not found in build context or excluded by .dockerignore: ' : '';
    try {
      const found: Selected[] = [];
      for (const source of sources) {
        const kind = keyword === 'ADD' ? sourceKind(source) : 'local';
        if (kind === 'http') found.push(await this.#download(source, work));
        else if (kind === 'git') found.push(await this.#checkOut(source, work));
        else {
          const tree = await this.#sourceTree(inputs, work);
          const ignored = isContext && from.name === undefined ? this.#session.ignored : undefined;
          const hint = (path: ByteString) => missingHint(tree, path, ignored);
          const onFound = async (found: readonly Found[]) => {
            const copy = this.#copyOf(inputs, found.map(timeless));
            if (work.isForReal) this.#ahead = await copyAhead(this.#session, this.#operation, copy, work);
          };
          const options = { signal: work.signal, missingPrefix, excludes, parents, hint, onFound };
          const chosen = await selectSources(tree, [source], options);
          found.push(...(isContext ? chosen.map(timeless) : chosen));
        }
      }
      const names = inline.map((file) => file.name);
      const written = await selectSources(inlineTree(inline), names, { signal: work.signal, missingPrefix: '' });
      const selected = [...found, ...written.map(timeless)];
      if (selected.length === 0) throw new EngineError('invalid-argument', 'no source files were specified');
      requireFolder(keyword, destination, selected.length);
      return selected;
    } catch (error) {
      if (!(error instanceof EngineError) || error instanceof DestinationError) throw error;
      throw new EngineError(error.kind, `${keyword} failed: ${error.message}`, { cause: error });
    }
  }

  async #download(url: string, work: Work): Promise<Selected> {
    const { checksum, destination } = this.#operation;
    const file = await fetchFile(url, this.#session.nextNumber(), {
      named: destination.endsWith('/'),
      folder: this.#session.request.scratchDir,
      signal: work.signal,
      room: this.#session.request.room,
      onProgress: (message) => work.report({ kind: 'progress', message } satisfies StepReport),
      ...(checksum ? { checksum: checksum as Digest } : {}),
    });
    return { ...file, isRemote: true };
  }

  /** The files of a repository, as a folder of the context would be. */
  async #checkOut(url: string, work: Work): Promise<Selected> {
    const { keepGitDir, excludes, checksum } = this.#operation;
    const folder = join(this.#session.request.scratchDir, `git-${this.#session.nextNumber()}`);
    const root = await checkOut(parseGitReference(url), folder, {
      keepGitDir,
      commit: checksum,
      help: { handedOver: this.#session.request.handedOver, lendSocket: this.#session.host.lendSocket },
      signal: work.signal,
      makeRoom: this.#session.request.room?.make,
    });
    const tree = new DiskTree(root);
    const [selected] = await selectSources(tree, ['.'], { signal: work.signal, missingPrefix: '', excludes });
    return { ...timeless(selected!), isRemote: true };
  }

  async #sourceTree(inputs: readonly StepState[], work: Work): Promise<SourceTree> {
    const { from } = this.#operation;
    if (from.kind === 'context') return await this.#session.contexts.get(from.name);
    const source = inputs[1]!;
    await this.#session.recorder.hold(source);
    return await this.#session.views.tree(chainOf(source), work);
  }
}

function timeless<S extends Found>(source: S): S {
  return { ...source, isTimeless: true };
}

class DestinationError extends EngineError {}

function requireFolder(keyword: string, destination: string, count: number): void {
  if (count <= 1 || destination.endsWith('/')) return;
  throw new DestinationError(
    'invalid-argument',
    `When using ${keyword} with more than one source file, the destination must be a directory and end with a /`,
  );
}
