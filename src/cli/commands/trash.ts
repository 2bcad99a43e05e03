import type { KeptThing, UndoItem, UndoneItem } from '#api-types';
import type { Command, CommandContext } from '../command.ts';
import { UsageError } from '../flags.ts';
import { ellipsis, formatTable, humanAge, humanSize, shortID } from '../table.ts';

const jsonFlag = { name: 'json', type: 'toggle', help: 'Print as JSON' } as const;

export const undoCommand: Command = {
  name: 'undo',
  usage: '[OPTIONS] [NUMBER]',
  summary: 'Bring back what was removed or overwritten last, or by the call of a number',
  minArgs: 0,
  maxArgs: 1,
  flags: [
    jsonFlag,
    { name: 'list', short: 'l', type: 'toggle', help: 'List what can be brought back' },
    { name: 'last', short: 'n', type: 'int', help: 'Bring back what the last n calls removed' },
  ],
  async run(context) {
    const { flags, args, engine, terminal } = context;
    if (flags.on('list')) return await listTrash(context);
    const count = flags.number('last');
    const number = args[0] === undefined ? undefined : wholeNumber(args[0]);
    if (count !== undefined && (number !== undefined || count < 1))
      throw new UsageError('"wherry undo" takes a number of a call, or -n with a count of one or more');
    const undone = await engine().trash.undo({
      ...(number === undefined ? {} : { number }),
      ...(count === undefined ? {} : { count }),
    });
    if (flags.on('json')) terminal.stdout.write(`${JSON.stringify(undone, undefined, 2)}\n`);
    else {
      terminal.stdout.write(undone.flatMap(undoneLines).join(''));
      terminal.stderr.write(undone.flatMap(({ Notes }) => Notes.map((note) => `WARNING: ${note}\n`)).join(''));
    }
    return 0;
  },
};

export const trashListCommand: Command = {
  name: 'trash ls',
  usage: '[OPTIONS]',
  summary: 'List what was removed and can be brought back',
  aliases: ['trash list'],
  minArgs: 0,
  maxArgs: 0,
  flags: [jsonFlag],
  run: listTrash,
};

export const trashEmptyCommand: Command = {
  name: 'trash empty',
  usage: '',
  summary: 'Free the space of all that could be brought back',
  minArgs: 0,
  maxArgs: 0,
  flags: [],
  async run({ engine, terminal }) {
    const { SpaceFreed } = await engine().trash.empty();
    terminal.stdout.write(`Total freed space: ${humanSize(SpaceFreed)}\n`);
    return 0;
  },
};

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text))
    throw new UsageError(`"${text}" is not the number of a call: see "wherry undo --list"`);
  return Number(text);
}

async function listTrash({ flags, engine, terminal }: CommandContext): Promise<number> {
  const items = await engine().trash.list();
  const table = () =>
    formatTable(
      ['NUMBER', 'REMOVED', 'CALL', 'KEEPS', 'SIZE', 'EXPIRES IN'],
      items.map((item) => [
        String(item.Number),
        `${humanAge(seconds(item.Removed))} ago`,
        ellipsis(`${item.Action} ${item.Subject}`.trim(), 40),
        ellipsis(keptText(item), 50),
        humanSize(item.Size),
        timeLeft(item.Expires),
      ]),
    );
  terminal.stdout.write(flags.on('json') ? `${JSON.stringify(items, undefined, 2)}\n` : table());
  return 0;
}

const seconds = (time: string) => Math.floor(Date.parse(time) / 1000);

function timeLeft(expires: string): string {
  const nowMs = Date.now();
  return humanAge(Math.floor(nowMs / 1000), Math.max(Date.parse(expires), nowMs));
}

/** `2 images, container web`: each kind once. */
function keptText({ Kept }: UndoItem): string {
  const words: Readonly<Record<KeptThing['Kind'], string>> = {
    image: 'image',
    name: 'name',
    names: 'name',
    moved: 'overwritten name',
    container: 'container',
    volume: 'volume',
    'build-cache': 'build cache record',
  };
  const groups = Map.groupBy(Kept, ({ Kind }) => words[Kind]);
  return [...groups]
    .map(([word, things]) => (things.length === 1 ? `${word} ${shownName(things[0]!)}` : `${things.length} ${word}s`))
    .join(', ');
}

function shownName({ Kind, Name }: KeptThing): string {
  const name = Kind === 'build-cache' || /^(sha256:)?[0-9a-f]{64}$/.test(Name) ? shortID(Name) : Name;
  return name.replace(/^\//, '');
}

function undoneLines({ Action, Subject, Number: number, Restored }: UndoneItem): string[] {
  const title = `Undone: ${`${Action} ${Subject}`.trim()} (${number})\n`;
  return [title, ...Restored.map((thing) => ` ${thing.Kind} ${shownName(thing)}\n`)];
}
