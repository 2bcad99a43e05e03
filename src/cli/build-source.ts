import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { ListedContext } from '#api-types';
import { EngineError } from '#errdefs';
import { readBounded } from '#files';
import { readAll } from '#streams';
import { checkDockerfile, contextRoot, folderSource, singleFileTar } from './build-context.ts';
import { humanSize } from './table.ts';

const maxDockerfileBytes = 16 << 20;
/** A tar header: enough to tell an archive from a Dockerfile. */
const headBytes = 512;
const drawEveryMs = 100;

/** What is sent: a folder as a listing, for daemons that ask for what they lack, anything else as the tar it is. */
export interface BuildContext {
  readonly source: ListedContext | AsyncIterable<Uint8Array>;
  readonly dockerfile: string;
}

/** What `PATH` or `-`, and `--file`, say is to be built. */
export async function buildContext(
  path: string,
  file: string | undefined,
  stdin: AsyncIterable<Uint8Array | string>,
): Promise<BuildContext> {
  if (path === '-' && file === '-') {
    throw new EngineError(
      'invalid-argument',
      "invalid argument: can't use stdin for both build context and dockerfile",
    );
  }
  const input = stdin as AsyncIterable<Uint8Array>;
  return path === '-'
    ? await stdinContext(input, file)
    : await folderContext(await contextRoot(resolve(path)), file, input);
}

/** A Dockerfile that is not in the folder, or comes from standard input, travels under a name of its own. */
async function folderContext(
  root: string,
  file: string | undefined,
  stdin: AsyncIterable<Uint8Array>,
): Promise<BuildContext> {
  if (file === '-') return await withDockerfile(root, await readAll(stdin, maxDockerfileBytes, 'standard input'));
  const path = file === undefined ? 'Dockerfile' : relative(root, await inRealFolder(resolve(file)));
  if (!path.startsWith('..')) {
    await checkDockerfile(root, path);
    return { source: await folderSource(root, path), dockerfile: path };
  }
  const bytes = await readBounded(resolve(file!), maxDockerfileBytes);
  if (bytes) return await withDockerfile(root, bytes);
  const fact = `lstat ${resolve(file!)}: no such file or directory`;
  throw new EngineError(
    'not-found',
    `unable to prepare context: unable to evaluate symlinks in Dockerfile path: ${fact}`,
  );
}

/** A file where its folder really is, as the root of the context is. */
async function inRealFolder(file: string): Promise<string> {
  try {
    return join(await realpath(dirname(file)), basename(file));
  } catch {
    return file;
  }
}

async function withDockerfile(root: string, bytes: Uint8Array): Promise<BuildContext> {
  const dockerfile = `.dockerfile.${randomBytes(10).toString('hex')}`;
  return { source: await folderSource(root, dockerfile, { content: bytes }), dockerfile };
}

/** Standard input is a context when it is an archive, else a Dockerfile alone. */
async function stdinContext(stdin: AsyncIterable<Uint8Array>, file: string | undefined): Promise<BuildContext> {
  const iterator = stdin[Symbol.asyncIterator]();
  const start: Uint8Array[] = [];
  for (let length = 0; length < headBytes; length = start.reduce((sum, chunk) => sum + chunk.byteLength, 0)) {
    const next = await iterator.next();
    if (next.done) break;
    start.push(next.value);
  }
  const whole = joined(start, iterator);
  if (isArchive(Buffer.concat(start))) return { source: whole, dockerfile: file ?? 'Dockerfile' };
  const bytes = await readAll(whole, maxDockerfileBytes, 'standard input');
  return { source: singleFileTar('Dockerfile', bytes), dockerfile: 'Dockerfile' };
}

async function* joined(start: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* start;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

const magics = ['1f8b', '28b52ffd', '425a68', 'fd377a585a00'];

function isArchive(head: Buffer): boolean {
  const hex = head.toString('hex', 0, 6);
  return head.toString('latin1', 257, 262) === 'ustar' || magics.some((magic) => hex.startsWith(magic));
}

/** The same source, saying how much of it is sent, the listing and each lot of files: on a terminal while it is, elsewhere once. */
export function announced(source: BuildContext['source'], out: NodeJS.WriteStream): BuildContext['source'] {
  if (!('listing' in source)) return counted(source, out);
  const { listing, send, tar } = source;
  out.write(sentLine(listing.byteLength, '\n'));
  return {
    listing,
    send: (entries, options) => counted(send(entries, options), out),
    ...(tar ? { tar: () => counted(tar(), out) } : {}),
  };
}

function sentLine(sizeBytes: number, end: string): string {
  return `Sending build context to Wherry daemon  ${humanSize(sizeBytes, 4)}${end}`;
}

async function* counted(source: AsyncIterable<Uint8Array>, out: NodeJS.WriteStream): AsyncGenerator<Uint8Array> {
  let sentBytes = 0;
  let drawnMs = 0;
  const draw = (end: string) => out.write(sentLine(sentBytes, end));
  for await (const chunk of source) {
    yield chunk;
    sentBytes += chunk.byteLength;
    if (!out.isTTY || Date.now() - drawnMs < drawEveryMs) continue;
    drawnMs = Date.now();
    draw('\r');
  }
  draw('\n');
}
