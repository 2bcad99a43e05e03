import { readFileSync } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ListedContext } from '#api-types';
import { type ByteString, bytesFromUtf8, endOfArchive, packHeader, packPadding } from '#archive';
import { encodeListing, type ListedEntry, type ListedFile } from '#context-listing';
import { IgnoreMatcher, parseDockerignore } from '#dockerfile';
import { EngineError, isErrno } from '#errdefs';
import { readBounded } from '#files';
import { packEntries, sendFiles } from './context-contents.ts';
import { placeOf, walkFolder } from './folder-walk.ts';

const maxIgnoreBytes = 4 << 20;
/** The Dockerfile and the ignore files are read by every build: they travel with the listing. */
const maxInlineBytes = 256 << 10;
/** Half of what a daemon takes: a listing is held whole, at both ends. */
const maxListedEntries = 1_000_000;

/**
 * A folder as a build context, without what `.dockerignore` (or `<Dockerfile>.dockerignore`) leaves out. The Dockerfile and the ignore file always
 * travel, as the daemon needs them. `content` is a Dockerfile that is not in the folder. {@link checkDockerfile} comes first otherwise, {@link contextRoot} always.
 */
export async function listFolder(root: string, dockerfile: string, content?: Uint8Array): Promise<ListedContext> {
  return listed(await readFolder(root, dockerfile, content));
}

/** The same, or the tar of a folder with more files than a listing is for. */
export async function folderSource(
  root: string,
  dockerfile: string,
  { content, maxEntries = maxListedEntries }: { content?: Uint8Array; maxEntries?: number } = {},
): Promise<ListedContext | AsyncIterable<Uint8Array>> {
  const folder = await readFolder(root, dockerfile, content);
  return folder.entries.length > maxEntries ? packEntries(root, folder.entries) : listed(folder);
}

interface Folder {
  readonly root: string;
  readonly context: string;
  readonly takenMs: number;
  readonly entries: readonly ListedEntry[];
}

function listed({ root, context, takenMs, entries }: Folder): ListedContext {
  return {
    listing: encodeListing({ context, takenMs }, entries),
    send: (numbers, { signal }) => sendFiles(root, entries, numbers, signal),
    tar: () => packEntries(root, entries),
  };
}

async function readFolder(root: string, dockerfile: string, content: Uint8Array | undefined): Promise<Folder> {
  const patterns = await ignorePatterns(root, dockerfile);
  const matcher =
    patterns.length > 0 ? new IgnoreMatcher([...patterns, `!${dockerfile}`, '!.dockerignore']) : undefined;
  const takenMs = Date.now();
  const walked = await walkFolder(root, matcher);
  const extra = content ? [inlineFile(bytesFromUtf8(dockerfile), content)] : [];
  const inline = new Set(['.dockerignore', dockerfile, `${dockerfile}.dockerignore`].map(bytesFromUtf8));
  const entries = [...walked.map((entry) => (inline.has(entry.path) ? withContent(root, entry) : entry)), ...extra];
  return { root, context: identity(root, content ? '' : dockerfile), takenMs, entries };
}

/** The folder that a path names, links followed. @throws `not-found` in Docker's words */
export async function contextRoot(path: string): Promise<string> {
  const missing = (cause?: unknown) =>
    new EngineError('not-found', `unable to prepare context: path "${path}" not found`, { cause });
  try {
    const root = await realpath(path);
    if ((await stat(root)).isDirectory()) return root;
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) throw error;
    throw missing(error);
  }
  throw missing();
}

/** Before anything is sent. @throws `not-found` in Docker's words. */
export async function checkDockerfile(root: string, dockerfile: string): Promise<void> {
  try {
    await lstat(join(root, dockerfile));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new EngineError(
      'not-found',
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${join(root, dockerfile)}: no such file or directory`,
      { cause: error },
    );
  }
}

async function ignorePatterns(root: string, dockerfile: string): Promise<string[]> {
  const own = await readBounded(join(root, `${dockerfile}.dockerignore`), maxIgnoreBytes);
  const bytes = own ?? (await readBounded(join(root, '.dockerignore'), maxIgnoreBytes));
  return bytes ? parseDockerignore(bytes) : [];
}

/** What the daemon remembers a context by: this folder as this user of this machine builds it. */
function identity(root: string, dockerfile: string): string {
  return JSON.stringify([machine(), hostname(), process.getuid?.() ?? 0, root, dockerfile]);
}

function machine(): string {
  try {
    return readFileSync('/etc/machine-id').toString().trim();
  } catch {
    return '';
  }
}

function inlineFile(path: ByteString, content: Uint8Array): ListedFile {
  return { type: 'file', path, mode: 0o644, mtimeSec: 0, sizeBytes: content.byteLength, content };
}

/** Read now: what is built is what was read. A link is followed by the daemon, inside the context. */
function withContent(root: string, entry: ListedEntry): ListedEntry {
  if (entry.type !== 'file' || entry.sizeBytes > maxInlineBytes) return entry;
  const { stamp: _stamp, ...file } = entry;
  const content = readFileSync(placeOf(root, entry.path));
  return { ...file, sizeBytes: content.byteLength, content };
}

/** A context of one file. */
export async function* singleFileTar(name: string, bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* fileEntry(name, bytes);
  yield endOfArchive;
}

function* fileEntry(name: string, bytes: Uint8Array): Generator<Uint8Array> {
  yield packHeader({ type: 'file', path: bytesFromUtf8(name), mode: 0o644, sizeBytes: bytes.byteLength });
  yield bytes;
  yield packPadding(bytes.byteLength);
}
