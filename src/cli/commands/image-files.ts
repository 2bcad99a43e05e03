import { posix } from 'node:path';
import type { ImageFile } from '#api-types';
import type { Command } from '../command.ts';
import { longRows, nameOf } from '../file-rows.ts';
import { Output } from '../output.ts';

export const lsCommand: Command = {
  name: 'ls',
  usage: '[OPTIONS] IMAGE [PATH...]',
  summary: 'List files of an image',
  minArgs: 1,
  flags: [
    { name: 'all', short: 'a', type: 'toggle', help: 'Do not leave out names that start with a dot' },
    { name: 'directory', short: 'd', type: 'toggle', help: 'List folders themselves, not what is in them' },
    { name: 'json', type: 'toggle', help: 'Print one JSON object a line, dot names and all' },
    { name: 'long', short: 'l', type: 'toggle', help: 'Mode, links, owner, group, size, time (UTC), target' },
    { name: 'recursive', short: 'R', type: 'toggle', help: 'All that is below, each with its whole path' },
  ],
  async run({ flags, args, engine, terminal, signal }) {
    const [image = '', ...paths] = args;
    const output = new Output(terminal);
    const whole = flags.on('recursive') || flags.on('directory');
    for (const path of paths.length > 0 ? paths : ['/']) {
      // As ls: with -l a symlink is shown itself, unless a slash behind it asks for what it leads to.
      const noFollow = flags.on('long') && !path.endsWith('/');
      const options = { path, recursive: flags.on('recursive'), self: flags.on('directory'), noFollow, signal };
      const title = paths.length > 1 && !whole && !flags.on('json') ? `${path}:\n` : '';
      const shown = await print(engine().images.files(image, options), output, {
        title,
        format: flags.on('json') ? 'json' : flags.on('long') ? 'long' : 'short',
        all: flags.on('all') || flags.on('json') || flags.on('directory'),
        whole,
        named: posix.resolve('/', path),
      });
      if (!shown) return 0;
    }
    return 0;
  },
};

interface Printing {
  readonly title: string;
  readonly format: 'json' | 'long' | 'short';
  readonly all: boolean;
  readonly whole: boolean;
  /** What the user typed: shown whatever it is called. */
  readonly named: string;
}

/** Rows are aligned in batches, so that a million files need no memory. */
const batchSize = 4096;

/** Answers false when nobody reads on. */
async function print(files: AsyncIterable<ImageFile>, output: Output, how: Printing): Promise<boolean> {
  let batch: ImageFile[] = [];
  // What is in a folder comes right behind it.
  let hiddenFolder: string | undefined;
  const isHidden = ({ path }: ImageFile) => {
    if (how.all || path === how.named) return false;
    if (hiddenFolder !== undefined && path.startsWith(hiddenFolder)) return true;
    const hidden = path.slice(path.lastIndexOf('/') + 1).startsWith('.');
    if (hidden) hiddenFolder = `${path}/`;
    return hidden;
  };
  const flush = async () => {
    const text = rows(batch, how);
    batch = [];
    return await output.write(text);
  };
  if (how.title !== '' && !(await output.write(how.title))) return false;
  for await (const file of files) {
    if (isHidden(file)) continue;
    if (batch.push(file) >= batchSize && !(await flush())) return false;
  }
  return await flush();
}

function rows(files: readonly ImageFile[], { format, whole }: Printing): string {
  if (format === 'long') return longRows(files, whole);
  return files.map((file) => `${format === 'json' ? JSON.stringify(file) : nameOf(file, whole)}\n`).join('');
}

export const catCommand: Command = {
  name: 'cat',
  usage: 'IMAGE PATH [PATH...]',
  summary: 'Print files of an image',
  minArgs: 2,
  flags: [],
  async run({ args, engine, terminal, signal }) {
    const [image = '', ...paths] = args;
    const output = new Output(terminal);
    for (const path of paths) {
      const { content } = await engine().images.file(image, path, { signal });
      for await (const chunk of content) if (!(await output.write(chunk))) return 0;
    }
    return 0;
  },
};
