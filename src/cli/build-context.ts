import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8, endOfArchive, packHeader, packPadding } from '#archive';
import { IgnoreMatcher, parseDockerignore } from '#dockerfile';
import { EngineError, isErrno } from '#errdefs';
import { readBounded } from '#files';

const maxIgnoreBytes = 4 << 20;

/**
 * A folder as a build context: a tar without what `.dockerignore` (or `<Dockerfile>.dockerignore`) leaves out. The Dockerfile and the ignore file always
 * travel, as the daemon needs them. Owners are root's, so that the context does not depend on who sends it.
 * `content` is a Dockerfile that is not in the folder. {@link checkContext} comes first otherwise.
 */
export async function* contextTar(root: string, dockerfile: string, content?: Uint8Array): AsyncGenerator<Uint8Array> {
  const matcher = new IgnoreMatcher([...(await ignorePatterns(root, dockerfile)), `!${dockerfile}`, '!.dockerignore']);
  yield* folderEntries(root, '', matcher);
  if (content) yield* fileEntry(dockerfile, content);
  yield endOfArchive;
}

/** Before anything is sent. @throws `not-found`, `invalid-argument` in Docker's words. */
export async function checkContext(root: string, dockerfile: string): Promise<void> {
  try {
    if (!(await lstat(root)).isDirectory())
      throw new EngineError('invalid-argument', `unable to prepare context: path "${root}" not found`);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new EngineError('not-found', `unable to prepare context: path "${root}" not found`, { cause: error });
  }
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

async function* folderEntries(root: string, folder: string, matcher: IgnoreMatcher): AsyncGenerator<Uint8Array> {
  const names = (await readdir(join(root, folder))).sort();
  for (const name of names) {
    const path = folder === '' ? name : `${folder}/${name}`;
    const excluded = matcher.excludes(path);
    const stat = await lstat(join(root, path));
    if (excluded && !(stat.isDirectory() && matcher.hasExceptions)) continue;
    if (!excluded) yield* entry(root, path, stat);
    if (stat.isDirectory()) yield* folderEntries(root, path, matcher);
  }
}

async function* entry(root: string, path: string, stat: Awaited<ReturnType<typeof lstat>>): AsyncGenerator<Uint8Array> {
  const mtimeMs = Math.floor(Number(stat.mtimeMs));
  const common = {
    path: bytesFromUtf8(path),
    mode: Number(stat.mode) & 0o7777,
    mtime: { sec: Math.floor(mtimeMs / 1000), nsec: (mtimeMs % 1000) * 1_000_000 },
  };
  if (stat.isDirectory()) yield packHeader({ ...common, type: 'directory' });
  else if (stat.isSymbolicLink()) {
    const linkPath = bytesFromUtf8(await readlink(join(root, path)));
    yield packHeader({ ...common, type: 'symlink', linkPath });
  } else if (stat.isFile()) yield* file(root, path, common, Number(stat.size));
}

/** Exactly the size announced, also when the file changes meanwhile. */
async function* file(
  root: string,
  path: string,
  common: { path: string; mode: number; mtime: { sec: number; nsec: number } },
  sizeBytes: number,
): AsyncGenerator<Uint8Array> {
  yield packHeader({ ...common, type: 'file', sizeBytes });
  if (sizeBytes === 0) return;
  let sentBytes = 0;
  for await (const chunk of createReadStream(join(root, path), { end: sizeBytes - 1, highWaterMark: 1 << 20 })) {
    sentBytes += (chunk as Uint8Array).byteLength;
    yield chunk as Uint8Array;
  }
  if (sentBytes !== sizeBytes) throw new EngineError('data-loss', `build context: ${path} changed while it was read`);
  yield packPadding(sizeBytes);
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
