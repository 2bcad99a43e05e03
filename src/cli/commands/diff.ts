import type { ChangeItem, ImageDifference, ImageFile } from '#api-types';
import type { Command } from '../command.ts';
import { UsageError } from '../flags.ts';
import { Output } from '../output.ts';
import { safeName } from '../safe-name.ts';
import { humanSize } from '../table.ts';

export const diffCommand: Command = {
  name: 'diff',
  usage: '[OPTIONS] CONTAINER | IMAGE IMAGE',
  summary: "Inspect changes to files of a container's filesystem, or between two images",
  aliases: ['container diff', 'image diff'],
  minArgs: 1,
  maxArgs: 2,
  flags: [
    { name: 'exit-code', type: 'toggle', help: 'Of two images: exit with 1 when they differ' },
    { name: 'json', type: 'toggle', help: 'Print one JSON object a line' },
    { name: 'times', type: 'toggle', help: 'Of two images: times count too' },
  ],
  async run({ flags, args, engine, terminal, signal }) {
    const output = new Output(terminal);
    const [before = '', after] = args;
    const json = flags.on('json');
    if (after === undefined) {
      if (flags.on('exit-code') || flags.on('times')) throw new UsageError('--exit-code and --times need two images');
      const changes = await engine().containers.changes(before);
      await output.write(changes.map((change) => (json ? `${JSON.stringify(change)}\n` : changeRow(change))).join(''));
      return 0;
    }
    const found = engine().images.compare(before, after, { times: flags.on('times'), signal });
    const differ = await print(found, output, json ? (item) => `${JSON.stringify(item)}\n` : row, !json);
    return differ && flags.on('exit-code') ? 1 : 0;
  },
};

const changeRow = ({ Kind, Path }: ChangeItem) => `${'CAD'[Kind]} ${Path}\n`;

/** Answers whether there was anything. */
async function print(
  found: AsyncIterable<ImageDifference>,
  output: Output,
  text: (item: ImageDifference) => string,
  sums: boolean,
): Promise<boolean> {
  const sum = new Sum();
  for await (const item of found) {
    sum.add(item);
    if (!(await output.write(text(item)))) return true;
  }
  if (sums && sum.isAny) await output.write(sum.text());
  return sum.isAny;
}

function row(item: ImageDifference): string {
  if (item.kind === 'config') return `${safeName(item.field)}: ${value(item.before)} -> ${value(item.after)}\n`;
  if (item.change === 'added') return `A ${fileText(item.after)}\n`;
  if (item.change === 'removed') return `D ${fileText(item.before)}\n`;
  const { before, after } = item;
  const aspects = item.aspects.map((aspect) => {
    const [one, other] = [aspectText(aspect, before), aspectText(aspect, after)];
    return one === undefined ? aspect : `${aspect} ${one} -> ${other}`;
  });
  return `C ${safeName(after.path, after.pathBytes)}  ${aspects.join(', ')}\n`;
}

const value = (of: unknown) => (of === null ? '-' : JSON.stringify(of));

function fileText({ path, pathBytes, type, sizeBytes }: ImageFile): string {
  const slash = type === 'directory' && path !== '/' ? '/' : '';
  return `${safeName(path, pathBytes)}${slash}${type === 'file' ? `  ${humanSize(sizeBytes)}` : ''}`;
}

function aspectText(aspect: string, file: ImageFile): string | undefined {
  switch (aspect) {
    case 'content':
      return humanSize(file.sizeBytes);
    case 'owner':
      return `${file.uid}:${file.gid}`;
    case 'target':
      return safeName(file.target ?? '', file.targetBytes);
    case 'xattrs':
      return `{${Object.keys(file.xattrs ?? {})
        .map((name) => safeName(name))
        .join(' ')}}`;
    case 'type':
      return file.type;
    case 'mode':
      return file.mode;
    case 'device':
      return file.device;
    case 'modified':
      return file.modified;
    default:
      return undefined;
  }
}

/** What the differences come to. */
class Sum {
  readonly #counts = { added: 0, removed: 0, changed: 0, config: 0 };
  #bytes = 0;

  get isAny(): boolean {
    return Object.values(this.#counts).some((count) => count > 0);
  }

  add(item: ImageDifference): void {
    this.#counts[item.kind === 'config' ? 'config' : item.change]++;
    if (item.kind === 'config') return;
    if ('after' in item) this.#bytes += sizeOf(item.after);
    if ('before' in item) this.#bytes -= sizeOf(item.before);
  }

  text(): string {
    const { added, removed, changed, config } = this.#counts;
    const sign = this.#bytes < 0 ? '-' : '+';
    const files = `${added} added, ${removed} removed, ${changed} changed, ${sign}${humanSize(Math.abs(this.#bytes))}`;
    return `${files}${config > 0 ? `; ${config} of the configuration` : ''}\n`;
  }
}

const sizeOf = (file: ImageFile) => (file.type === 'file' ? file.sizeBytes : 0);
