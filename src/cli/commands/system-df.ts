import type { DiskAccount, DiskItem, DiskPart, DiskPartKind } from '#api-types';
import type { Command } from '../command.ts';
import { fileUsageText } from '../file-usage-text.ts';
import { Output } from '../output.ts';
import { formatTable, humanSize, shortID } from '../table.ts';

const titles: Readonly<Record<DiskPartKind, string>> = {
  images: 'Images',
  containers: 'Containers',
  logs: 'Container Logs',
  volumes: 'Local Volumes',
  'build-cache': 'Build Cache',
  trash: 'Trash',
  'in-progress': 'In Progress',
  engine: 'Engine',
};

export const systemDfCommand: Command = {
  name: 'system df',
  usage: '[OPTIONS]',
  summary: 'Show what takes space on the disk, to the byte',
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'files', type: 'toggle', help: 'Show files that layers and images have several times' },
    { name: 'groups', type: 'int', help: 'With --files: how many contents to name (default 20)' },
    { name: 'json', type: 'toggle', help: 'Print as JSON' },
    { name: 'verbose', short: 'v', type: 'toggle', help: 'Show each image, container, volume and removal, in bytes' },
  ],
  async run({ flags, engine, terminal, signal }) {
    if (flags.on('files')) {
      const groups = flags.number('groups');
      const usage = await engine().system.fileUsage({ ...(groups === undefined ? {} : { groups }), signal });
      const shown = flags.on('json') ? `${JSON.stringify(usage, undefined, 2)}\n` : fileUsageText(usage);
      await new Output(terminal).write(shown);
      return 0;
    }
    const account = await engine().system.account();
    const text = () => (flags.on('verbose') ? verboseText(account) : shortText(account));
    terminal.stdout.write(flags.on('json') ? `${JSON.stringify(account, undefined, 2)}\n` : text());
    return 0;
  },
};

function shortText({ Parts, Size, Path, Free }: DiskAccount): string {
  const rows = Parts.map((part) => [
    titles[part.Kind],
    ...(isCounted(part) ? [`${part.Total}`, `${part.Active}`] : ['', '']),
    humanSize(part.Size),
    reclaimable(part),
  ]);
  const total = Parts.reduce((sum, part) => sum + part.Reclaimable, 0);
  rows.push(['All of it', '', '', humanSize(Size), reclaimable({ Size, Reclaimable: total })]);
  const table = formatTable(['TYPE', 'TOTAL', 'ACTIVE', 'SIZE', 'RECLAIMABLE'], rows);
  return `${table}\n${Path}: ${Size} bytes, ${humanSize(Free)} free on its disk\n`;
}

const isCounted = ({ Kind }: DiskPart) => Kind !== 'in-progress' && Kind !== 'engine';

function reclaimable({ Size, Reclaimable }: Pick<DiskPart, 'Size' | 'Reclaimable'>): string {
  const percent = Size === 0 ? 0 : Math.floor((Reclaimable / Size) * 100);
  return `${humanSize(Reclaimable)}${Reclaimable > 0 ? ` (${percent}%)` : ''}`;
}

function verboseText({ Parts, Size, Path }: DiskAccount): string {
  const sections = Parts.filter(({ Items }) => Items.length > 0).map(({ Kind, Items, Size: bytes }) => {
    const rows = Items.map((item) => [shownName(item), `${item.Size}`, `${item.Reclaimable}`]);
    return `${titles[Kind]}: ${bytes} bytes\n\n${formatTable(['NAME', 'BYTES', 'RECLAIMABLE'], rows)}`;
  });
  return `${sections.join('\n')}\n${Path}: ${Size} bytes\n`;
}

function shownName({ Name, ID }: DiskItem): string {
  return /^(sha256:)?[0-9a-f]{64}$/.test(Name) ? shortID(Name) : Name || ID;
}
