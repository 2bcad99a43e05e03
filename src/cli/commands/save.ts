import { createWriteStream } from 'node:fs';
import { lstat, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SaveBase } from '#api-types';
import { EngineError, isErrno } from '#errdefs';
import { readAll } from '#streams';
import type { Command } from '../command.ts';
import { openInput } from '../input-file.ts';
import { Output } from '../output.ts';

/** What such a list begins with, so that it is not taken for an image. */
const listStart = 'wherry-digests ';
const maxListBytes = 16 << 20;

export const saveCommand: Command = {
  name: 'save',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  aliases: ['image save'],
  minArgs: 1,
  flags: [
    { name: 'output', short: 'o', type: 'string', help: 'Write to a file, instead of STDOUT' },
    { name: 'platform', type: 'list', help: 'Save these platforms of a multi-platform image' },
    {
      name: 'since',
      type: 'list',
      help: 'Write only what the other side lacks: it has this image, or this list of "image digests"',
    },
  ],
  async run(context) {
    const output = context.flags.text('output');
    if (output === undefined && context.terminal.stdout.isTTY) {
      throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    }
    if (output !== undefined) await checkOutput(output);
    const since = context.flags.list('since');
    const archive = context.engine().images.save(context.args, {
      ...(since.length > 0 ? { since: await baseOf(since, context.terminal.stdin) } : {}),
      platforms: context.flags.list('platform').flatMap((given) => given.split(',')),
      signal: context.signal,
    });
    await (output === undefined
      ? pipeline(archive, context.terminal.stdout as Writable, { end: false })
      : writeWhole(archive, output));
    return 0;
  },
};

async function checkOutput(path: string): Promise<void> {
  try {
    await stat(dirname(path));
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT')) throw cause;
    const fact = `stat ${dirname(path)}: no such file or directory`;
    throw new EngineError('not-found', `failed to save image: invalid output path: ${fact}`, { cause });
  }
  const fault = await irregular(path);
  if (fault !== undefined) throw new EngineError('invalid-argument', `failed to save image: cannot write to ${fault}`);
}

/** What a file is that the archive may not take the place of: `/dev/null` would be no device any more. Undefined for a plain file, or none. */
async function irregular(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (!found || found.isFile()) return undefined;
  if (found.isDirectory()) return 'a directory';
  if (found.isSymbolicLink()) return 'a symbolic link directly';
  if (found.isCharacterDevice()) return 'a character device file';
  if (found.isBlockDevice()) return 'a block device file';
  return found.isFIFO() ? 'a named pipe (FIFO)' : 'a socket';
}

/** The file appears only when the archive is whole. */
async function writeWhole(archive: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const partial = `${path}.${process.pid}.part`;
  try {
    await pipeline(archive, createWriteStream(partial, { highWaterMark: 1 << 20 }));
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** A file that begins as a list does is one, and so is standard input (`-`); anything else is the name of an image. */
async function baseOf(since: readonly string[], stdin: AsyncIterable<unknown>): Promise<SaveBase> {
  const images: string[] = [];
  let list: string | undefined;
  for (const value of since) {
    const isList = value === '-' || (await isListFile(value));
    if (!isList) images.push(value);
    else if (list !== undefined)
      throw new EngineError('invalid-argument', 'save: --since takes one list, of one other side');
    else list = await readList(value === '-' ? (stdin as AsyncIterable<Uint8Array>) : await openInput(value));
  }
  return { images, ...(list === undefined ? {} : { list }) };
}

async function readList(source: AsyncIterable<Uint8Array>): Promise<string> {
  return (await readAll(source, maxListBytes, 'list of digests')).toString('utf8');
}

async function isListFile(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(listStart.length), 0, listStart.length, 0);
    return buffer.toString('latin1', 0, bytesRead) === listStart;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES'].some((code) => isErrno(error, code))) return false;
    throw error;
  }
}

export const imageDigestsCommand: Command = {
  name: 'image digests',
  usage: '[IMAGE...]',
  summary: 'List the layers that are here, for "save --since" elsewhere',
  minArgs: 0,
  flags: [],
  async run({ args, engine, terminal, signal }) {
    await new Output(terminal).write(await engine().images.digests(args, { signal }));
    return 0;
  },
};
